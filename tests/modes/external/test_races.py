"""Every race that other systems met (brain-patterns 2.3, realtime-protocol 6), by name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from penny.errors import SpeakerLost
from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, correction, folio
from tests.doubles.parties import ScriptedMode
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import Caller, calling, configure


pytestmark = pytest.mark.socket


Json = dict[str, Any]

NO_BRAIN: Json = {"enabled": False}
QUIET_TURN = "Bueno, pues verá usted"


def user(text: str, item_id: str) -> Json:
    content = [{"type": "input_text", "text": text}]
    item = {"id": item_id, "type": "message", "role": "user", "content": content}
    return {"type": "conversation.item.create", "item": item}


async def test_response_create_while_a_response_is_active_is_refused_as_the_vendor_does(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await caller.send(user("uno", "item_a"))
        await caller.send({"type": "response.create"})
        await upstream.asked()
        first = upstream.active
        await caller.send({"type": "response.create", "event_id": "second"})
        fault = (await caller.until("error"))["error"]
        assert fault["code"] == "conversation_already_has_active_response"
        assert fault["event_id"] == "second"
        await upstream.speak("Hola.")
        await caller.until("response.done")
        assert first != ""
        await caller.settle()
        assert upstream.requests.empty(), "one answer, not two"


async def test_a_typed_turn_is_answered_after_the_servers_own_response_in_the_same_moment(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")  # the server answers turns itself here
        first = upstream.active
        await caller.send(user("otra cosa", "item_typed"))
        await caller.send({"type": "response.create"})
        await upstream.asked()
        await upstream.speak("Dígame.")
        assert first
        await upstream.answer("Aquí estoy.")
        await caller.settle()
    # The race itself is the vendor's to refuse; what matters is that the caller never sees it.
    speaker.violations.clear()
    assert not caller.all("error")


async def test_response_done_without_response_created_frees_the_next_request(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.finish("resp_ghost", "cancelled", "turn_detected")
        await caller.send(user("uno", "item_a"))
        await caller.send({"type": "response.create"})
        await upstream.answer("Hola.")
        await caller.until("response.done", lambda e: e["response"]["status"] == "completed")


async def test_cancel_and_create_waits_for_the_cancelled_response(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await caller.send(user("uno", "item_a"))
        await caller.send({"type": "response.create"})
        await upstream.asked()
        await caller.until("response.created")
        await caller.send({"type": "response.cancel"})
        await caller.send({"type": "response.create"})
        await upstream.answer("De acuerdo.")
        await caller.settle()
    kinds = [event["type"] for event in upstream.received]
    assert kinds.index("response.cancel") < len(kinds) - 1 - kinds[::-1].index("response.create")
    assert speaker.violations == []


async def test_no_note_is_placed_in_the_middle_of_a_response(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre nada"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await upstream.asked()
        await claude.until(1)
        await caller.settle()
        assert upstream.notes() == []
        await upstream.speak("Dígame.")
        await upstream.until("the note", lambda: upstream.notes())
        await caller.until("penny.context_update")


@pytest.mark.parametrize("placement", ["append", "rewrite"])
async def test_a_placement_is_in_force_only_when_it_is_acknowledged(
    placement: str, speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre nada"))
    config = configure(tmp_path, speaker.base_url, claude.base_url, brain={"placement": placement})
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Dígame.")
        update = await caller.until("penny.context_update")
        wanted = "instructions" if placement == "rewrite" else "system_item"
        assert update["placement"] == wanted
        assert ("Turno 1" in upstream.session["instructions"]) == (placement == "rewrite")
    moves = [e["status"] for e in caller.notes("folio")]
    assert moves[0] == "in_force"
    assert caller.all("session.updated") == []


async def test_a_refused_placement_is_dropped_and_shown_to_nobody(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre nada"))
    config = configure(tmp_path, speaker.base_url, claude.base_url, brain={"placement": "append"})
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        upstream.refuse_items = True
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Dígame.")
        creates = lambda: [  # noqa: E731
            e for e in upstream.received if e["type"] == "conversation.item.create"
        ]
        await upstream.until("the note", creates)
        await caller.settle()
    assert caller.all("error") == []
    last = caller.notes("folio")[-1]
    assert (last["status"], last["reason"]) == ("gone", "refused")


async def test_answers_to_turns_bring_no_instructions_of_their_own(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    # Instructions of a response replace the session's: the persona would be gone.
    claude.on("turn", 1, answer=folio("Consulta sobre nada"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path):
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        request = await upstream.asked()
        assert "response" not in request
        await upstream.speak("Dígame.")
        await claude.until(1)


async def test_a_transcript_that_lags_behind_the_audio_delays_the_answer_by_the_budget_at_most(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre factura"))
    config = configure(tmp_path, speaker.base_url, claude.base_url, brain={"facts_budget_ms": 60})
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        item_id = await upstream.hear("", late=True)
        await upstream.asked()  # though the words have not come yet
        await upstream.speak("Un momento.")
        await upstream.final(item_id, "¿Cuándo vence la factura F-2024-1234?")
        await caller.until("penny.context_update")
    [facts] = caller.notes("facts")
    assert facts["outcome"] in ("nothing_found", "too_late")


async def test_an_item_of_which_nothing_was_heard_is_deleted_and_never_seeded(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")
        item_id = await upstream.answer("Nunca oído.")
        await caller.until("response.done")
        await caller.send({"type": "conversation.item.delete", "item_id": item_id})
        await caller.until("conversation.item.deleted")
        await upstream.drop()
        again = await speaker.connection()
        await caller.until("penny.upstream_replaced")
        assert item_id not in again.items


async def test_a_folio_that_is_ready_while_no_upstream_is_open_is_not_lost(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    step = claude.on("turn", 1, answer=folio("Consulta sobre nada"), gate=asyncio.Event())
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Dígame.")
        await claude.until(1)
        speaker.refuse_with = 503
        await upstream.drop()
        await caller.settle()
        assert step.gate is not None
        step.gate.set()
        await caller.settle()
        speaker.refuse_with = None
        await speaker.connection()
        await caller.until("penny.context_update")


async def test_the_late_result_of_a_superseded_analysis_goes_nowhere(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    old = claude.on("turn", 1, answer=folio("Consulta sobre lo viejo"), gate=asyncio.Event())
    claude.on("review", answer=NOTHING, times=None)
    claude.on("turn", 2, answer=folio("Consulta sobre lo nuevo"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Dígame.")
        await claude.until(1)
        await upstream.hear("No, otra cosa distinta")
        await upstream.answer("Cuénteme.")
        await caller.until("penny.context_update")
        assert old.gate is not None
        old.gate.set()
        await caller.settle()
        told = [e["context_update"]["user_intent"] for e in caller.all("penny.context_update")]
        assert told == ["Consulta sobre lo nuevo"]


async def test_a_note_in_the_background_makes_nobody_speak(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre nada"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Dígame.")
        await caller.until("penny.context_update")
        await caller.settle()
        assert upstream.requests.empty()
        assert not upstream.active


async def test_own_notes_never_show_on_the_callers_side(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre nada"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Dígame.")
        await caller.until("penny.context_update")
        roles = {e["item"].get("role") for e in caller.all("conversation.item.added")}
        assert roles == {"user", "assistant"}


async def test_a_failed_session_update_is_told_to_who_asked(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    speaker.may_break = True
    async with calling(config, tmp_path) as caller:
        await speaker.connection()
        update = {"type": "session.update", "event_id": "mine", "session": {"voice": "x"}}
        await caller.send(update)
        fault = await caller.until("error")
        assert fault["error"]["event_id"] == "mine"


async def test_a_clients_instructions_and_tools_come_back_as_the_client_set_them(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        tool = {"type": "function", "name": "suya", "description": "", "parameters": {}}
        session = {"type": "realtime", "instructions": "Sé breve.", "tools": [tool]}
        await caller.send({"type": "session.update", "session": session})
        updated = (await caller.until("session.updated"))["session"]
        assert updated["instructions"] == "Sé breve."
        assert [each["name"] for each in updated["tools"]] == ["suya"]
        assert updated["audio"]["input"]["turn_detection"]["create_response"] is True
        assert upstream.session["instructions"].startswith("Sé breve.\n\nLos mensajes de sistema")
        names = [each["name"] for each in upstream.session["tools"]]
        assert names == ["suya", "search_knowledge"]


async def test_truncation_past_the_real_end_is_cut_to_it_and_refused_by_nobody(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")
        item_id = await upstream.answer("Buenos días, dígame")
        await caller.until("response.done")
        cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
        await caller.send({**cut, "audio_end_ms": 60_000})
        told = await caller.until("conversation.item.truncated")
        assert told["audio_end_ms"] == upstream.durations[item_id]
    assert caller.all("error") == []
    assert speaker.violations == []


async def test_correction_ignored_twice_is_raised_once_by_a_rewrite_and_then_reported(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    wrong = correction("La factura vence mañana", "La factura vence el 15 de enero")
    claude.on("turn", answer=NOTHING, times=None)
    claude.on("review", 1, answer=wrong)
    claude.on("review", answer=NOTHING, times=None)
    config = configure(tmp_path, speaker.base_url, claude.base_url, brain={"placement": "append"})
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Dígame algo de lo mío")
        await upstream.answer("Su factura vence mañana.")
        await caller.until("penny.correction")
        assert any("[CORRECCION NECESARIA]" in note for note in upstream.notes())
        assert "15 de enero" not in upstream.session["instructions"]
        await upstream.hear(QUIET_TURN)
        await upstream.answer("Puede pagar por banco o tarjeta.")
        await upstream.until(
            "the rewrite", lambda: "15 de enero" in upstream.session["instructions"]
        )
        assert not any("[CORRECCION" in note for note in upstream.notes()), "in its place"
        await upstream.hear("Pues siga usted, por favor")
        await upstream.answer("Tenemos abierto por la tarde.")
        warning = await caller.until("penny.warning", lambda e: e["code"] == "degraded")
        assert "mistake" in warning["message"]
        await upstream.hear("Y nada más por hoy")
        await upstream.answer("Adiós.")
        await caller.settle()
    checked = [e["progress"] for e in caller.notes("correction_checked")]
    assert checked == ["raise", "reported"]
    told = caller.all("penny.effectiveness")[-1]["effectiveness"]
    assert told["corrections_ignored"] == 1


async def test_a_terminal_error_stops_the_attempts_and_goes_over_to_the_fallback(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    own = ScriptedMode("SELF_HOSTED")
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path, fallback=own) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")
        await upstream.answer("Buenos días.")
        await caller.until("response.done")
        await upstream.fail("insufficient_quota")
        warning = await caller.until("penny.warning")
        assert warning["code"] == "mode_changed"
        seen = len(speaker.keys)
        await own.speakers[0].says.send({"type": "input_audio_buffer.cleared", "event_id": "e1"})
        await caller.until("input_audio_buffer.cleared")
        assert len(speaker.keys) == seen == 1
        assert own.specs[0].history[0]["content"][0]["text"] == "hola"


async def test_a_terminal_error_without_a_fallback_ends_the_session(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.fail("insufficient_quota")
        await _ended(caller)
        assert isinstance(caller.ended, SpeakerLost)
        assert caller.ended.retryable is False
        with pytest.raises(SpeakerLost):
            await caller.send({"type": "response.create"})


async def test_a_busy_provider_is_asked_once_more(speaker: RealtimeDouble, tmp_path: Path) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")
        await upstream.asked()
        response_id = upstream.active
        details = {"type": "failed", "error": {"code": "inference_rate_limit_exceeded"}}
        await upstream.finish(response_id, "failed", details=details)
        await upstream.answer("Buenos días.")
        await caller.until("response.done", lambda e: e["response"]["status"] == "completed")


async def test_several_items_of_one_response_are_each_kept(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")
        await upstream.asked()
        await upstream.speak("Lo miro.", stop_after=2)
        second = await upstream.speak("Ya está.")
        await caller.until("response.done")
        mirror = caller.conversation
        assert mirror.reply_of(1, 1e9) == "Lo miro. Ya está."
        assert mirror.get(second) is not None


async def test_speech_over_the_answer_cancels_it_and_the_new_turn_is_answered_once(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=NOTHING)
    claude.on("turn", 2, answer=NOTHING)
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear(QUIET_TURN)
        await claude.until(1)
        item_id = await upstream.answer("Pues mire usted", stop_after=2)
        await upstream.hear("Espere un momento")
        cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
        await caller.send({**cut, "audio_end_ms": 300})
        await upstream.answer("Le escucho.")
        await caller.until("response.done", lambda e: e["response"]["status"] == "completed")
        await claude.until(2)
        exchanges = caller.conversation.exchanges(1e9)
        assert exchanges[0].penny == "Pues"


async def _ended(caller: Caller) -> None:
    async with asyncio.timeout(60):
        while caller.ended is None:
            await asyncio.sleep(0.01)


async def test_only_the_brain_itself_is_shown_what_is_merely_likely(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, status=529)
    claude.on("turn", answer=NOTHING, times=None)
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Quiero hablar de mi factura")
        await upstream.answer("Dígame.")
        await caller.wait(lambda: caller.mode.counts.analyses["overloaded"] == 1)
        await caller.settle()  # until it has done what it does without Claude
        shown = claude.requests[0]["messages"][-1]["content"][-1]["text"]
        assert "facturas.md#duplicado-de-una-factura" in shown
    found = {each["by"]: each["found"] for each in caller.notes("search")}
    assert found["words"]
    assert (found["facts"], found["kb"]) == ([], []), "nobody judges there"
    assert caller.mode.counts.kb_only == 0
