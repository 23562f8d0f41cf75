"""A call from end to end against the vendors' doubles, over real sockets, with the real SDKs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, folio
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import calling, configure


pytestmark = pytest.mark.socket

MOOD = "[ÁNIMO] La persona está molesta."


async def test_a_folio_of_turn_1_is_in_force_at_turn_2(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre factura pendiente", {"estado": "pendiente"}))
    claude.on("turn", 2, answer=folio("Consulta sobre pagos"))
    claude.on("review", answer=NOTHING, times=None)
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Quería saber de mi factura")
        await upstream.answer("Claro, dígame.")
        update = await caller.until("penny.context_update")
        assert update["context_update"]["user_intent"] == "Consulta sobre factura pendiente"

        await upstream.hear("Y cómo se paga")
        await upstream.asked()
        assert any("[CONTEXTO ACTUALIZADO - Turno 1]" in note for note in upstream.notes())
        await upstream.speak("Por banco o por tarjeta.")
        await caller.until(
            "penny.context_update",
            lambda e: e["context_update"]["user_intent"] == "Consulta sobre pagos",
        )
    active = [e for e in caller.notes("folio") if e["status"] == "used"]
    assert any(entry["section"] == "folio" and entry["turn"] == 1 for entry in active)
    assert caller.mode.counts.effectiveness.in_time >= 1


async def test_same_turn_facts_stand_before_the_response(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre factura"))
    claude.on("review", 1, answer=NOTHING)
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("¿Cuándo vence la factura F-2024-1234?")
        await upstream.asked()
        kinds = [e["type"] for e in upstream.received]
        note = kinds.index("conversation.item.create")
        assert note < kinds.index("response.create")
        assert "15" in upstream.notes()[0]
        assert upstream.notes()[0].startswith("[DATOS COMPROBADOS - Turno 1]")
        await upstream.speak("Vence el quince de enero.")
        await caller.until("penny.context_update")
        await claude.until(2)
    [facts] = caller.notes("facts")
    assert facts["outcome"] == "placed"
    assert facts["waited_ms"] < 1000


async def test_a_hint_of_an_observer_stands_before_the_next_answer_and_the_brain_counts_none(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", answer=NOTHING, times=None)
    claude.on("review", answer=NOTHING, times=None)
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        caller.call.hint(MOOD)
        # As a note, or written into the instructions: what costs less.
        await caller.wait(
            lambda: MOOD in upstream.notes() or MOOD in str(upstream.session["instructions"])
        )
        await upstream.hear("Quiero saber de mi factura")
        await upstream.asked()
        await upstream.speak("Lo lamento, lo miro ahora mismo.")
    assert all(entry["section"] != "hint" for entry in caller.notes("folio"))
