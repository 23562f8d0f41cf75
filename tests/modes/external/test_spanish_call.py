"""One Spanish call with everything in it, against the doubles: what the kept call must tell."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, correction, folio
from tests.doubles.realtime_server import Connection, RealtimeDouble
from tests.invoices.service import InvoiceService, action_table
from tests.modes.external.caller import Caller, calling, configure


pytestmark = pytest.mark.socket


Json = dict[str, Any]

INVOICE = {"factura_id": "F-2024-1234", "importe": 1500.0, "vencimiento": "2025-01-15"}


async def test_a_recorded_spanish_call_with_everything_in_it(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    script(claude)
    async with InvoiceService() as invoices:
        config = configure(
            tmp_path,
            speaker.base_url,
            claude.base_url,
            actions={"table": action_table(invoices.url)},
            brain={"breaker": {"failures": 2, "cooldown_s": 0.2}},
        )
        context = {"available_actions": ["consultar_factura"]}
        async with calling(config, tmp_path, context=context) as caller:
            first = await speaker.connection()
            await facts_and_a_wrong_date(first, caller)
            await the_correction_is_said(first, caller)
            await an_interruption_in_the_middle(first, caller)
            await a_tool_call(first, caller)
            second = await a_rollover(speaker, first, caller)
            await an_outage_of_claude(second, caller, claude)
    tells_it_all(caller)


def script(claude: AnthropicDouble) -> None:
    wrong = correction("La factura vence mañana", "La factura vence el 15 de enero")
    claude.on("turn", 1, answer=folio("Consulta sobre factura pendiente", INVOICE))
    claude.on("review", 1, answer=wrong)
    claude.on("turn", 2, answer=folio("Consulta sobre opciones de pago"))
    claude.on("review", answer=NOTHING, times=None)
    claude.on("turn", 3, answer=folio("Consulta sobre domiciliación"))
    claude.on("turn", 4, answer=folio("Consulta sobre otra factura"))
    claude.on("turn", 5, answer=folio("Consulta sobre oficinas"))
    claude.on("turn", 6, status=529)
    claude.on("turn", 7, text='{"queries": [')
    claude.on("turn", 8, answer=folio("Consulta sobre horarios"))


async def facts_and_a_wrong_date(upstream: Connection, caller: Caller) -> None:
    await upstream.hear("¿Cuándo vence mi factura F-2024-1234?")
    await upstream.asked()
    assert "15 de enero" in "\n".join(upstream.notes()), "same-turn facts in turn 1"
    await upstream.speak("Su factura vence mañana.")
    await caller.until("penny.context_update")
    told = await caller.until("penny.correction")
    assert told["correct_info"] == "La factura vence el 15 de enero"


async def the_correction_is_said(upstream: Connection, caller: Caller) -> None:
    await upstream.hear("¿Y qué opciones de pago tengo?")
    await upstream.asked()
    notes = "\n".join(upstream.notes())
    assert "[CONTEXTO ACTUALIZADO - Turno 1]" in notes, "folio of turn 1 in force at turn 2"
    assert "[CORRECCION NECESARIA]" in notes
    await upstream.speak("Puede domiciliarla. Y corrijo: vence el quince de enero.")
    await caller.until("response.done", lambda e: "quince" in str(e["response"]["output"]))
    await caller.until("penny.context_update", intent("Consulta sobre opciones de pago"))


async def an_interruption_in_the_middle(upstream: Connection, caller: Caller) -> None:
    await upstream.hear("Cuénteme cómo se domicilia")
    item_id = await upstream.answer("Para domiciliar el recibo entre en su área", stop_after=5)
    await upstream.speech_started("item_cut")
    cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
    await caller.send({**cut, "audio_end_ms": 900})
    await caller.until("response.done", lambda e: e["response"]["status"] == "cancelled")
    await caller.until("penny.context_update", intent("Consulta sobre domiciliación"))
    item = caller.conversation.get(item_id)
    assert item is not None
    assert item.heard(1e9) == "Para domiciliar el"


async def a_tool_call(upstream: Connection, caller: Caller) -> None:
    await upstream.end_turn("item_cut")
    await upstream.final("item_cut", "Espere, dígame la otra factura")
    await upstream.call("consultar_factura", {"factura_id": "F-2024-1187"})
    await upstream.answer("La otra es de ochenta y cuatro con treinta y cinco.")
    done = await caller.until("penny.tool_call", lambda e: e["status"] == "completed")
    assert done["result"]["importe"] == 84.35
    await caller.until("response.done", lambda e: "treinta" in str(e["response"]["output"]))
    await caller.until("penny.context_update", intent("Consulta sobre otra factura"))


async def a_rollover(speaker: RealtimeDouble, old: Connection, caller: Caller) -> Connection:
    # Until the caller has heard the correction.
    await caller.wait(lambda: not caller.call.state.context.in_force("correction"))
    caller.conversation.sounds_until_s = 0.0  # and all the rest
    await caller.call.line.replace("age")
    new = await speaker.connection()
    await caller.until("penny.upstream_replaced")
    said = [i["content"][0]["text"] for i in new.items.values() if i["type"] == "message"]
    assert "¿Cuándo vence mi factura F-2024-1234?" in said
    assert "Para domiciliar el" in said, "what was cut is not seeded"
    assert any("[CONTEXTO ACTUALIZADO" in note for note in new.notes())
    assert not any("[CORRECCION" in note for note in new.notes()), "it has been said"
    seeded = {i["id"] for i in new.items.values() if i.get("role") != "system"}
    assert seeded <= {i["id"] for i in old.items.values()}
    await old.closed.wait()
    await new.hear("¿Dónde está su oficina?")
    await new.answer("Tenemos varias.")
    await caller.until("penny.context_update", intent("Consulta sobre oficinas"))
    return new


async def an_outage_of_claude(
    upstream: Connection, caller: Caller, claude: AnthropicDouble
) -> None:
    await upstream.hear("¿Cuál es el horario de atención?")
    await upstream.answer("De nueve a dos.")
    counts = caller.mode.counts
    await caller.wait(lambda: counts.analyses["overloaded"] == 1)
    await upstream.hear("¿Y cómo pago con tarjeta?")
    await upstream.answer("En la web.")
    await caller.wait(lambda: counts.analyses["broken_json"] == 1)
    await caller.wait(lambda: counts.kb_only >= 1)  # the knowledge base's own takes its place
    await _rest(0.25)
    await upstream.hear("¿Y los sábados abren ustedes?")
    await upstream.answer("Sí.")
    await caller.until("penny.context_update", intent("Consulta sobre horarios"))


async def _rest(seconds: float) -> None:
    """The breaker's rest is real time here: sockets and SDKs have no virtual clock."""
    await asyncio.sleep(seconds)


def intent(text: str) -> Any:
    return lambda event: event["context_update"]["user_intent"] == text


def tells_it_all(caller: Caller) -> None:
    assert {event["note"] for event in caller.all("penny.note")} == {
        "facts",
        "search",
        "analysis",
        "analysis_failed",
        "folio",
        "correction",
        "correction_checked",
    }
    analysis = caller.notes("analysis")[0]
    assert analysis["update"]["relevant_data"] == INVOICE
    assert analysis["usd"] > 0
    assert analysis["usage"]["input_tokens"] > 0
    [correction] = caller.notes("correction")
    assert correction["dropped"] == ""
    [checked] = caller.notes("correction_checked")
    assert checked["progress"] == "confirmed"
    worth = caller.all("penny.effectiveness")[-1]["effectiveness"]
    assert worth["corrections_made"] == worth["corrections_confirmed"] == 1
    assert worth["applied_in_time_pct"] > 50
