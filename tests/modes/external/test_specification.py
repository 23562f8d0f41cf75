"""The specification's own session, byte for byte, through the gateway to both vendors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from penny.gateway.app import Gateway
from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, correction, folio
from tests.doubles.live_server import LiveDouble
from tests.doubles.realtime_server import RealtimeDouble
from tests.invoices.service import InvoiceService, action_table
from tests.modes.external.caller import configure
from tests.modes.external.gateways import Client, connected, external_only


pytestmark = pytest.mark.socket


Json = dict[str, Any]

SESSION_START = """\
{
  "type": "session_start",
  "mode": "EXTERNAL",

  "portavoz": {
    "provider": "openai",
    "model": "gpt-4o-realtime",
    "voice": "alloy",
    "language": "es",
    "initial_system_prompt": "Eres un asistente de voz profesional..."
  },

  "cerebro": {
    "provider": "anthropic",
    "model": "claude-sonnet-4-20250514",
    "analysis_depth": "standard",
    "knowledge_base_ref": "kb://empresa/documentos",
    "update_frequency": "every_turn"
  },

  "context": {
    "user_id": "uuid",
    "session_purpose": "atencion_cliente",
    "available_actions": ["consultar_factura", "programar_pago", "transferir_humano"]
  }
}
"""
INVOICE = {
    "factura_id": "F-2024-1234",
    "importe": 1500.0,
    "vencimiento": "2025-01-15",
    "estado": "pendiente",
}


def script(claude: AnthropicDouble) -> None:
    wrong = correction("La factura vence mañana", "La factura vence el 15 de enero")
    claude.on("turn", 1, answer=folio("Consulta sobre factura pendiente", INVOICE))
    claude.on("review", 1, answer=wrong)
    claude.on("turn", answer=NOTHING, times=None)
    claude.on("review", answer=NOTHING, times=None)


async def sees_a_folio_and_a_correction(client: Client) -> None:
    update = await client.until("context_update")
    told = update["context_update"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["timestamp"])
    assert set(told) == {
        "timestamp",
        "user_intent",
        "relevant_data",
        "suggested_response_elements",
        "tone_guidance",
        "warnings",
    }
    assert told["user_intent"] == "Consulta sobre factura pendiente"
    assert told["relevant_data"] == INVOICE
    corrected = await client.until("correction")
    assert {name: corrected[name] for name in _CORRECTION} == {
        "correction_needed": True,
        "correction_type": corrected["correction_type"],
        "what_gpt_said": "La factura vence mañana",
        "correct_info": "La factura vence el 15 de enero",
        "inject_correction": True,
    }
    assert corrected["turn_id"] == "turn_1"


_CORRECTION = (
    "correction_needed",
    "correction_type",
    "what_gpt_said",
    "correct_info",
    "inject_correction",
)


async def test_the_specifications_session_start_works_through_to_a_spoken_correction(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    script(claude)
    async with InvoiceService() as invoices:
        actions = {"table": action_table(invoices.url)}
        config = configure(tmp_path, speaker.base_url, claude.base_url, actions=actions)
        async with connected(Gateway(external_only(config)), SESSION_START) as client:
            started = await client.until("session_started")
            assert started["mode"] == "EXTERNAL"
            replaced = [w["field"] for w in client.all("warning") if w["code"] == "model_replaced"]
            assert replaced == ["portavoz.model", "cerebro.model"]
            upstream = await speaker.connection()
            assert upstream.model == "gpt-realtime-2.1"
            prompt = upstream.session["instructions"]
            assert prompt.startswith("Eres un asistente de voz profesional...")
            names = [tool["name"] for tool in upstream.session["tools"]]
            assert names == ["search_knowledge", *sorted(actions["table"], key=_SAID.index)]
            await upstream.hear("¿Cuándo vence mi factura F-2024-1234?")
            await upstream.answer("Su factura vence mañana.")
            await sees_a_folio_and_a_correction(client)
            await upstream.hear("¿Y cómo la pago?")
            await upstream.asked()
            notes = "\n".join(upstream.notes())
            assert "[CONTEXTO ACTUALIZADO - Turno 1]" in notes
            assert "[CORRECCION NECESARIA]" in notes
            await upstream.speak("Perdone: vence el quince de enero. Puede pagar por banco.")
            await upstream.until(
                "the correction to leave",
                lambda: not any("[CORRECCION" in note for note in upstream.notes()),
            )


_SAID = ["consultar_factura", "programar_pago", "transferir_humano"]


async def test_the_same_session_with_live_as_its_speaker(
    claude: AnthropicDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(claude)
    async with LiveDouble() as live:
        config = configure(tmp_path, live.base_url, claude.base_url)
        start = SESSION_START.replace('"openai"', '"openai_live"').replace(
            "gpt-4o-realtime", "gpt-live-1"
        )
        async with connected(Gateway(external_only(config)), start) as client:
            upstream = await live.connection()
            assert upstream.session["instructions"].startswith("Eres un asistente de voz")
            await client.socket.send_bytes(bytes(960))
            await upstream.until("the audio", lambda: len(upstream.received) > 1)
            await upstream.hear("¿Cuándo vence mi factura F-2024-1234?")
            await upstream.say("Su factura vence mañana.")
            await sees_a_folio_and_a_correction(client)
            await upstream.bill(60.0)
            cost = await client.until("cost", lambda e: e["usd_by"].get("portavoz"))
            assert cost["usd_by"]["portavoz"] == 0.05
