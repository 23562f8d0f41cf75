"""Drops, rollovers and the audio that must survive them."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from modes.external.mode import ExternalMode
from modes.external.replacement import KeptAudio, plan_replacement
from penny.errors import ModeUnavailable, SpeakerLost
from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, folio
from tests.doubles.parties import ScriptedMode
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import calling, configure


pytestmark = pytest.mark.socket


NO_BRAIN = {"enabled": False}


def audio(ms: int) -> dict[str, str]:
    return {"type": "input_audio_buffer.append", "audio": b64encode(bytes(ms * 48)).decode()}


async def test_speech_in_progress_at_a_drop_is_heard_by_the_next_upstream(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        for _ in range(50):
            await caller.send(audio(20))
        await first.speech_started("item_cut")
        await caller.until("input_audio_buffer.speech_started")
        for _ in range(50):
            await caller.send(audio(20))
        speaker.refuse_with = 503
        await first.drop()
        await caller.settle()
        for _ in range(25):
            await caller.send(audio(20))
        speaker.refuse_with = None
        second = await speaker.connection()
        await caller.until("penny.upstream_replaced")
        # The second before the onset was noticed, the second of speech, what came meanwhile.
        await second.until("the audio", lambda: second.audio_ms >= 2_500)
        assert second.audio_ms <= 2_600


async def test_an_answer_cut_by_a_drop_is_closed_and_given_again(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        await first.hear("hola")
        await first.answer("Buenos días, dígame usted", stop_after=2)
        await caller.until("response.output_audio.delta")
        await first.drop(1001)
        closed = await caller.until("response.done")
        assert closed["response"]["status"] == "cancelled"
        second = await speaker.connection()
        await second.answer("Dígame en qué le ayudo.")
        assert any("hola" in str(item) for item in second.items.values())
        await caller.until("response.done", lambda e: e["response"]["status"] == "completed")


@pytest.mark.parametrize(
    "refused",
    [
        {"temperature": 0.8},
        {"audio": {"output": {"speed": 9}}},
        {"audio": {"output": {"voice": "nadie"}}},
    ],
)
async def test_an_update_that_the_vendor_refused_is_not_asked_of_the_next_upstream(
    speaker: RealtimeDouble, tmp_path: Path, refused: dict[str, Any]
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        await caller.send({"type": "session.update", "session": {"max_output_tokens": 200}})
        await caller.until("session.updated")
        agreed = first.session
        told = {"max_output_tokens": 300, **refused}
        speaker.may_break = True
        await caller.send({"type": "session.update", "event_id": "mine", "session": told})
        assert (await caller.until("error"))["error"]["event_id"] == "mine"
        speaker.may_break = False
        await first.drop()
        second = await speaker.connection()
        await caller.until("penny.upstream_replaced")
        own = ("id", "expires_at")
        asked = {name: value for name, value in second.session.items() if name not in own}
        assert asked == {name: value for name, value in agreed.items() if name not in own}
        assert asked["max_output_tokens"] == 200
        assert caller.ended is None


async def test_typed_words_during_a_drop_are_not_lost(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        speaker.refuse_with = 503
        await first.drop()
        await caller.wait(lambda: caller.call.line.current is None)
        content = [{"type": "input_text", "text": "sigo aquí"}]
        item = {"id": "item_typed", "type": "message", "role": "user", "content": content}
        await caller.send({"type": "conversation.item.create", "item": item})
        speaker.refuse_with = None
        second = await speaker.connection()
        await second.until("the words", lambda: "item_typed" in second.items)


async def test_a_truncation_of_what_another_upstream_spoke_is_answered_and_seeded(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        await first.hear("hola")
        item_id = await first.answer("Buenos días, dígame usted")
        await caller.until("response.done")
        await first.drop()
        second = await speaker.connection()
        await caller.until("penny.upstream_replaced")
        cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
        await caller.send({**cut, "audio_end_ms": 650})
        await caller.until("conversation.item.truncated")
        shorter = [{"type": "output_text", "text": "Buenos días,"}]
        await second.until(
            "the shorter text", lambda: second.items.get(item_id, {}).get("content") == shorter
        )


@pytest.mark.parametrize(
    ("left_s", "planned"),
    [
        (None, (3000.0, "age")),
        (3600.0, (3000.0, "age")),
        (1800.0, (1620.0, "expiry")),
        (60.0, (30.0, "expiry")),
    ],
)
def test_the_earlier_of_own_limit_and_providers_end_decides_when_to_replace(
    left_s: float | None, planned: tuple[float, str]
) -> None:
    assert plan_replacement(3000.0, left_s) == planned


async def test_an_upstream_is_replaced_before_the_end_that_its_provider_told(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    speaker.expires_in_s = 6
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        speaker.expires_in_s = None
        assert "expires_at" not in caller.call.info["session"], "the call outlives its upstream"
        second = await speaker.connection()
        assert not first.closed.is_set(), "make before break"
        replaced = await caller.until("penny.upstream_replaced")
        assert replaced["reason"] == "expiry"
        async with asyncio.timeout(60):
            await first.closed.wait()
        await second.hear("hola")
        await second.answer("Dígame.")
        await caller.until("response.done")
        assert len(speaker.connections) == 2


async def test_an_end_in_the_past_is_not_believed(speaker: RealtimeDouble, tmp_path: Path) -> None:
    # Somebody's clock is wrong; replacing again and again would not mend it.
    speaker.expires_in_s = -3_600
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.hear("hola")
        await upstream.answer("Dígame.")
        await caller.until("response.done")
        await caller.settle()
        assert len(speaker.connections) == 1


async def test_a_terminal_refusal_at_the_start_is_told_with_its_remedy(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    speaker.refuse_with = 401
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    with pytest.raises(ModeUnavailable) as refused:
        async with calling(config, tmp_path):
            pass
    assert refused.value.retryable is False
    assert "HTTP 401" in refused.value.message


async def test_without_key_and_own_server_the_mode_tells_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = configure(tmp_path, "http://127.0.0.1:1/v1", None)
    section = config.penny.modes.EXTERNAL.model_copy(update={"portavoz_base_url": None})
    modes = config.penny.modes.model_copy(update={"EXTERNAL": section})
    penny = config.penny.model_copy(update={"modes": modes})
    mode = ExternalMode(config.model_copy(update={"penny": penny}))
    state = mode.availability()
    assert (state.available, state.reason) == (False, "OPENAI_API_KEY is not set")
    assert state.remedy
    await mode.aclose()


async def test_a_speaker_without_a_brains_key_talks_with_the_knowledge_base_alone(
    speaker: RealtimeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    config = configure(tmp_path, speaker.base_url, None)
    async with calling(config, tmp_path) as caller:
        state = caller.mode.availability()
        assert state.available
        assert "ANTHROPIC_API_KEY is not set" in state.notice["en"]
        upstream = await speaker.connection()
        await upstream.hear("¿Cuándo vence la factura F-2024-1234?")
        await upstream.answer("El quince de enero.")
        update = await caller.until("penny.context_update")
        assert update["context_update"]["relevant_data"]["vencimiento"].startswith("2025-01-15")
        # The notice of the mode, and of session_started, has said it already.
        assert "penny.warning" not in [event["type"] for event in caller.heard]


def test_kept_audio_forgets_the_oldest_past_its_limit() -> None:
    kept = KeptAudio(100)
    for _ in range(20):
        kept.append(audio(20)["audio"], 20)
    assert kept.position_ms == 400
    assert len(list(kept.since(0))) == 6
    assert len(list(kept.since(360))) == 2
    commit, clear = {"type": "commit"}, {"type": "clear"}
    kinds = [e["type"].rpartition(".")[2] for e in kept.since(340, [(360, commit), (400, clear)])]
    assert kinds == ["append", "commit", "append", "append", "clear"]


async def test_history_of_another_mode_seeds_the_first_upstream(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    content = [{"type": "input_text", "text": "antes dije esto"}]
    before = {"id": "item_old", "type": "message", "role": "user", "content": content}
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path, history=(before,)):
        upstream = await speaker.connection()
        await upstream.until("the seed", lambda: "item_old" in upstream.items)


async def test_kept_audio_of_a_telephones_format_is_as_long_as_it_lasts(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    g711 = {"format": {"type": "audio/pcmu"}}
    session = {"audio": {"input": g711, "output": g711}}
    async with calling(config, tmp_path, session=session) as caller:
        first = await speaker.connection()
        piece = b64encode(bytes(160)).decode()
        for _ in range(200):
            await caller.send({"type": "input_audio_buffer.append", "audio": piece})
        assert caller.call.line.kept.position_ms == pytest.approx(4_000)
        await first.drop()
        second = await speaker.connection()
        await caller.until("penny.upstream_replaced")
        await second.until("the preroll", lambda: second.audio_ms > 0)
        await caller.settle()
        # The double counts PCM bytes: 160 of them are 20 ms of G.711.
        assert second.audio_ms * 48 / 8 == pytest.approx(500, abs=20)


async def test_a_drop_that_the_caller_talks_through_loses_none_of_their_words(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()
        speaker.refuse_with = 503
        await first.drop()
        await caller.wait(lambda: caller.call.line.current is None)
        for _ in range(100):
            await caller.send(audio(20))
        speaker.refuse_with = None
        second = await speaker.connection()
        await second.until("the words", lambda: second.audio_ms >= 2_000)


async def test_falling_back_to_private_is_told_as_a_change_of_mode_and_keeps_the_notes(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre factura pendiente"))
    claude.on("review", answer=NOTHING, times=None)
    own = ScriptedMode("SELF_HOSTED")
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    async with calling(config, tmp_path, fallback=own) as caller:
        upstream = await speaker.connection()
        await upstream.hear("Bueno, pues verá usted")
        await upstream.answer("Dígame.")
        await caller.until("penny.context_update")
        await upstream.fail("insufficient_quota")
        changed = await caller.until("penny.mode_changed")
        assert changed["mode"] == "SELF_HOSTED"
        assert changed["privacy"] == config.penny.modes.SELF_HOSTED.privacy
        assert changed["speaker"]["model"] == "scripted"
        [private] = own.speakers
        await caller.wait(lambda: private.sent != [])
        update = private.sent[0]
        assert update["type"] == "session.update"
        assert "[CONTEXTO ACTUALIZADO - Turno 1]" in update["session"]["instructions"]
        assert caller.call.host.brain is None, "nothing goes to the vendors any more"


async def test_an_event_of_a_shape_that_nobody_knew_is_passed_over_and_counted(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        await upstream.send("response.created", response=None)
        await upstream.send("conversation.item.added", item={"id": "x"})
        await upstream.send("error", error="what")
        await upstream.hear("hola")
        await upstream.answer("Buenos días.")
        await caller.until("response.done")
        assert caller.mode.counts.not_understood["response.created"] == 1


async def test_a_long_greeting_and_repeated_tools_reach_the_vendor_as_it_takes_them(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream = await speaker.connection()
        tool = {"type": "function", "name": "suya", "description": "", "parameters": {}}
        newer = {**tool, "description": "la buena"}
        await caller.send({"type": "session.update", "session": {"tools": [tool, newer]}})
        await caller.until("session.updated")
        assert [each["description"] for each in upstream.session["tools"]] == ["la buena"]
        greeting = "Buenos días. " * 70
        response = {"instructions": greeting, "metadata": {"penny_say": greeting}}
        await caller.send({"type": "response.create", "response": response})
        asked = await upstream.asked()
        assert len(asked["response"]["metadata"]["penny_say"]) == 512
        assert asked["response"]["instructions"] == greeting
        await upstream.speak("Buenos días.")


async def test_a_call_whose_recovery_has_a_fault_ends_and_is_not_left_mute(
    speaker: RealtimeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        first = await speaker.connection()

        def faulty(now_s: float) -> None:
            raise LookupError

        monkeypatch.setattr(caller.call.state.conversation, "seed", faulty)
        await first.drop()
        await caller.wait(lambda: isinstance(caller.ended, SpeakerLost))
        assert "not replaced: LookupError" in str(caller.ended)


async def test_the_upstream_of_an_ended_call_is_closed_before_the_brain_has_left(
    speaker: RealtimeDouble, tmp_path: Path
) -> None:
    # What it said meanwhile would be paid for and heard by none.
    config = configure(tmp_path, speaker.base_url, None, brain=NO_BRAIN)
    async with calling(config, tmp_path) as caller:
        upstream, left = await speaker.connection(), asyncio.Event()
        setattr(caller.call.host, "leave_brain", left.wait)  # noqa: B010
        settling = asyncio.ensure_future(caller.call.settle())
        async with asyncio.timeout(60):
            await upstream.closed.wait()
        assert not settling.done()
        left.set()
        assert await settling == []
