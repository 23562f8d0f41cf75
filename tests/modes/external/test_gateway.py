"""EXTERNAL through the gateway's `/ws`: what a client sees of folios, costs and the summary."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from penny.gateway.app import Gateway
from penny.gateway.process import banner
from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import configure
from tests.modes.external.gateways import connected, external_only


pytestmark = pytest.mark.socket


Json = dict[str, Any]


async def test_a_client_sees_the_folio_the_cost_and_what_the_brain_was_worth(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre pagos"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with connected(Gateway(external_only(config))) as client:
        started = await client.until("session_started")
        assert started["capabilities"]["context_updates"] is True
        assert started["notice"] is None
        upstream = await speaker.connection()
        words = {"type": "text_input", "text": "Cómo se paga esto, por favor"}
        await client.socket.send_json(words)
        await upstream.answer("Por banco.")
        update = await client.until("context_update")
        assert update["context_update"]["user_intent"] == "Consulta sobre pagos"
        assert update["turn_id"] == "turn_1"
        assert client.all("cost")[-1]["usd_by"]["portavoz"] > 0
        await client.socket.send_json({"type": "session_end"})
        ended = await client.until("session_ended")
        shown = await client.text("/metrics")
        assert ended["totals"]["usd"] > 0
        assert ended["details"]["brain"]["folios"] >= 1
        assert 'penny_folios_total{outcome="written"}' in shown
        assert 'penny_brain_analyses_total{outcome="ok"} 1.0' in shown


async def test_what_the_end_of_a_session_cuts_off_is_billed(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta"), gate=asyncio.Event(), started=True)
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with connected(Gateway(external_only(config))) as client:
        upstream = await speaker.connection()
        await client.socket.send_json(
            {"type": "text_input", "text": "Cómo se paga esto, por favor"}
        )
        await upstream.answer("Se paga por banco, con tarjeta o en la web.", stop_after=4)
        await claude.until(1)
        await client.until("audio_started")
        assert client.all("cost") == []
        await client.socket.send_json({"type": "session_end"})
        ended = await client.until("session_ended")
    assert ended["totals"]["usd_by"].keys() == {"portavoz", "cerebro"}
    assert min(ended["totals"]["usd_by"].values()) > 0


async def test_a_hand_over_ends_the_session_when_the_goodbye_was_heard(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    table = {"transferir_humano": {"description": "Pasa la llamada.", "handoff": "atencion"}}
    without = {"enabled": False}
    config = configure(tmp_path, speaker.base_url, None, brain=without, actions={"table": table})
    context = {"available_actions": ["transferir_humano"]}
    async with connected(Gateway(external_only(config)), context=context) as client:
        upstream = await speaker.connection()
        await client.socket.send_json({"type": "text_input", "text": "Con una persona"})
        await upstream.call("transferir_humano", {})
        handoff = await client.until("handoff")
        assert "Cliente: Con una persona" in handoff["summary"]
        await upstream.answer("Le paso.")
        ended = await client.until("session_ended")
        assert ended["reason"] == "handoff"
        assert client.all("audio_done"), "the goodbye was sent whole"


async def test_replayed_speech_after_a_drop_is_the_same_turn_for_the_client(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain={"enabled": False})
    async with connected(Gateway(external_only(config))) as client:
        first = await speaker.connection()
        await first.speech_started("item_cut")
        await first.partial("item_cut", "¿Cuándo ")
        await client.until("transcript_delta")
        await first.drop()
        second = await speaker.connection()
        await second.until("the swap", lambda: len(speaker.connections) == 2)
        await second.hear("¿Cuándo vence?", item_id="item_again")
        await second.answer("El quince.")
        final = await client.until("transcript_final", lambda e: e["role"] == "user")
        assert final["turn_id"] == "turn_1"
        await client.until("audio_done")
        await second.hear("Gracias.")
        await second.answer("A usted.")
        last = await client.until("transcript_final", lambda e: e["text"] == "Gracias.")
        assert last["turn_id"] == "turn_2"
        await client.socket.send_json({"type": "session_end"})
        ended = await client.until("session_ended")
        assert ended["totals"]["turns"] == 2


async def test_without_the_brains_key_banner_modes_and_session_tell_the_same(
    speaker: RealtimeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    gateway = Gateway(external_only(configure(tmp_path, speaker.base_url, None)))
    async with connected(gateway) as client:
        await speaker.connection()
        started = await client.until("session_started")
        [mode] = json.loads(await client.text("/v1/modes"))["modes"]
        assert mode["available"] is True
        assert mode["notice"] == started["notice"]
        assert mode["notice"]["en"].startswith("ANTHROPIC_API_KEY is not set")
        assert mode["notice"]["en"] in banner(gateway)
