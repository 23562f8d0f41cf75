"""A session that begins before its worker is there: nothing is lost, nobody waits in silence."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modes.self_hosted.waiting.kept_events import MAX_EVENTS
from modes.self_hosted.waiting.sentences import SENTENCES, Recordings
from modes.self_hosted.waiting.session import WaitingSession
from modes.self_hosted.waiting.speaker import WaitingSpeaker
from penny.errors import ModeUnavailable, SpeakerLost
from penny.session.mode import Elsewhere, Speaker
from tests.doubles.parties import ScriptedSpeaker
from tests.doubles.speaker_caller import Caller
from tests.doubles.speech import silence, speak
from tests.doubles.stream import append_events


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]
COLD = ModeUnavailable("cold", retryable=True, code="cold_budget_exceeded")
WORDS = SENTENCES["es"]


class Wait:
    """One waiting session whose worker a test brings, or does not."""

    def __init__(self, elsewhere: Elsewhere | None, session: Json) -> None:
        loop = asyncio.get_running_loop()
        self.worker: asyncio.Future[Speaker] = loop.create_future()
        self.speaker = WaitingSpeaker(
            self.worker,
            WaitingSession(session),
            Recordings(),
            loop.time,
            language="es",
            every_s=10.0,
            session_id="sess_1",
            info={"model": "penny-worker"},
            elsewhere=elsewhere,
        )
        self.caller = Caller(self.speaker)

    async def heard(self) -> str:
        """The next sentence, whole."""
        done = await self.caller.until("response.done")
        return str(done["response"]["output"][0]["content"][0]["transcript"])

    def arrive(self) -> ScriptedSpeaker:
        real = ScriptedSpeaker()
        self.worker.set_result(real)
        return real

    async def say(self, pcm: bytes) -> None:
        """Speak at the pace of speech."""
        for event in append_events(pcm):
            self.speaker.send(event)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def waiting(
    elsewhere: Elsewhere | None = None, session: Json | None = None
) -> AsyncIterator[Wait]:
    wait = Wait(elsewhere, session or {"type": "realtime", "instructions": "Eres Penny."})
    try:
        yield wait
    finally:
        await wait.caller.aclose()


def typed(text: str) -> list[Json]:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


async def test_sentences_are_said_until_the_worker_comes_then_it_speaks() -> None:
    async with waiting() as wait:
        clock = asyncio.get_running_loop().time
        assert await wait.heard() == WORDS["preparing"]
        first_s = clock()
        assert await wait.heard() == WORDS["patience"]
        length_s = Recordings().find("es", "preparing").seconds
        assert clock() - first_s == pytest.approx(length_s + 10.0, abs=0.01)
        assert await wait.heard() == WORDS["patience"]
        real = wait.arrive()
        assert (await wait.caller.until("penny.progress"))["stage"] == "ready"
        real.says.try_send({"type": "response.created", "response": {"id": "resp_real"}})
        created = await wait.caller.until("response.created")
        assert created["response"]["id"] == "resp_real"


async def test_what_was_said_and_typed_meanwhile_reaches_the_worker_in_order() -> None:
    async with waiting() as wait:
        await wait.say(silence(5_000) + speak("¿Cuándo vence mi factura?") + silence(2_000))
        for event in typed("¿Y la otra?"):
            wait.speaker.send(event)
        real = wait.arrive()
        await wait.caller.until("penny.progress")
        await asyncio.sleep(0.01)
        wait.speaker.send({"type": "input_audio_buffer.append", "audio": "AAAA"})

        sent = kinds(real.sent)
        audio = [kind for kind in sent if kind == "input_audio_buffer.append"]
        assert sent[-3:] == [
            "conversation.item.create",
            "response.create",
            "input_audio_buffer.append",
        ]
        speech = len(list(append_events(speak("¿Cuándo vence mi factura?"))))
        assert speech + 100 <= len(audio) <= speech + 152, "a second before it, all after it"


async def test_positions_of_the_worker_become_the_callers_own() -> None:
    async with waiting() as wait:
        await wait.say(silence(10_000))
        real = wait.arrive()
        await wait.caller.until("penny.progress")
        begun = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 1_500}
        real.says.try_send({**begun, "item_id": "item_1"})
        told = await wait.caller.until("input_audio_buffer.speech_started")
        assert told["audio_start_ms"] == 10_500


async def test_settings_are_answered_at_once_and_a_wrong_one_says_why() -> None:
    async with waiting() as wait:
        voice = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
        wait.speaker.send({"type": "session.update", "session": voice})
        wrong = {"type": "realtime", "max_output_tokens": -5}
        wait.speaker.send({"type": "session.update", "session": wrong, "event_id": "e1"})
        updated = await wait.caller.until("session.updated")
        assert updated["session"]["audio"]["output"]["voice"] == "marin"
        assert updated["session"]["instructions"] == "Eres Penny."
        fault = (await wait.caller.until("error"))["error"]
        assert fault["event_id"] == "e1"
        real = wait.arrive()
        await wait.caller.until("penny.progress")
        real.says.try_send({"type": "session.updated", "session": updated["session"]})
        await wait.caller.until("session.updated")
        assert [event["session"] for event in real.sent] == [voice]


async def test_a_sentence_that_the_client_cuts_is_no_business_of_the_workers() -> None:
    async with waiting() as wait:
        await wait.caller.until("response.output_audio.delta")
        item_id = wait.caller.events[-1]["item_id"]
        cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
        wait.speaker.send({"type": "response.cancel"})
        wait.speaker.send({**cut, "audio_end_ms": 300})
        real = wait.arrive()
        await wait.caller.until("penny.progress")
        wait.speaker.send({"type": "conversation.item.delete", "item_id": item_id})
        real.says.try_send({"type": "response.done", "response": {"id": "r"}})
        await wait.caller.until("response.done", response={"id": "r"})
        assert real.sent == []


async def test_no_sentence_begins_while_the_caller_speaks() -> None:
    async with waiting() as wait:
        assert await wait.heard() == WORDS["preparing"]
        clock = asyncio.get_running_loop().time
        due_s = clock() + 10 + Recordings().find("es", "preparing").seconds
        await asyncio.sleep(due_s - clock() - 0.5)
        await wait.say(speak("¿Cuándo vence mi factura?") * 2)
        spoke_until_s = clock()
        assert spoke_until_s > due_s
        assert await wait.heard() == WORDS["patience"]
        assert clock() > spoke_until_s


async def test_a_worker_that_is_slow_to_take_what_was_kept_gets_it_in_order() -> None:
    async with waiting() as wait:
        for event in typed("uno"):
            wait.speaker.send(event)
        real = ScriptedSpeaker()
        real.room.clear()
        wait.worker.set_result(real)
        await wait.caller.until("penny.progress")
        await asyncio.sleep(1)
        wait.speaker.send({"type": "input_audio_buffer.commit"})
        assert kinds(real.sent) == ["conversation.item.create"]
        real.room.set()
        await asyncio.sleep(1)
        assert kinds(real.sent)[1:] == ["response.create", "input_audio_buffer.commit"]


async def test_a_worker_that_is_lost_while_it_takes_what_was_kept_ends_the_session() -> None:
    async with waiting() as wait:
        wait.speaker.send({"type": "input_audio_buffer.commit"})
        real = ScriptedSpeaker()
        real.break_off()
        wait.worker.set_result(real)
        with pytest.raises(SpeakerLost):
            await wait.caller.until("nothing more")


async def test_a_caller_who_does_too_much_meanwhile_is_told_what_was_not_kept() -> None:
    async with waiting() as wait:
        for _ in range(MAX_EVENTS + 1):
            wait.speaker.send({"type": "input_audio_buffer.commit", "event_id": "e"})
        fault = (await wait.caller.until("error"))["error"]
        assert (fault["code"], fault["event_id"]) == ("waiting_room_full", "e")


async def test_progress_passes() -> None:
    async with waiting() as wait:
        told = {"type": "penny.progress", "stage": "loading_models", "message": "Cargando"}
        wait.speaker.tell_progress({**told, "eta_ms": 50_000})
        assert (await wait.caller.until("penny.progress"))["eta_ms"] == 50_000


async def test_a_worker_that_never_comes_ends_in_an_apology_that_is_heard() -> None:
    async with waiting() as wait:
        started_s = asyncio.get_running_loop().time()
        wait.worker.set_exception(ModeUnavailable("no worker within 180 s", retryable=True))
        with pytest.raises(SpeakerLost, match="no worker within 180 s"):
            await wait.caller.until("nothing more")
        said = [e for e in wait.caller.events if e["type"] == "response.done"]
        assert said[-1]["response"]["output"][0]["content"][0]["transcript"] == WORDS["sorry"]
        took_s = asyncio.get_running_loop().time() - started_s
        sounded_ms = sum(
            len(e["delta"]) / 64 for e in wait.caller.events if e["type"].endswith("audio.delta")
        )
        assert took_s > sounded_ms / 1000, "the line is kept until the last word is heard"


async def test_who_is_moved_hears_so_first_and_what_was_said_in_private_stays_behind() -> None:
    vendor = ScriptedSpeaker()

    async def open_vendor() -> Speaker:
        return vendor

    async with waiting(
        Elsewhere(open_vendor, "EXTERNAL answers: OpenAI", "EXTERNAL", "OpenAI")
    ) as wait:
        wait.speaker.send({"type": "session.update", "session": {"type": "realtime"}})
        await wait.say(speak("Mi cuenta secreta es la doce") + silence(1_000))
        for event in typed("secreto"):
            wait.speaker.send(event)
        wait.worker.set_exception(COLD)
        warning = await wait.caller.until("penny.warning")
        assert (warning["code"], warning["message"]) == ("degraded", "EXTERNAL answers: OpenAI")
        changed = await wait.caller.until("penny.mode_changed")
        assert (changed["mode"], changed["privacy"]) == ("EXTERNAL", "OpenAI")
        assert not vendor.sent  # nothing has gone there yet
        assert await wait.heard() == WORDS["moved"]
        await wait.say(speak("¿Me oye usted?"))  # over the very sentence that tells it
        assert not vendor.sent
        await asyncio.sleep(Recordings().find("es", "moved").seconds)
        wait.speaker.send({"type": "input_audio_buffer.append", "audio": "AAAA"})

        assert kinds(vendor.sent) == ["session.update", "input_audio_buffer.append"]
        assert vendor.sent[-1]["audio"] == "AAAA"


async def test_nobody_is_moved_where_that_is_not_allowed() -> None:
    async with waiting() as wait:
        wait.worker.set_exception(COLD)
        with pytest.raises(SpeakerLost):
            await wait.caller.until("nothing more")
        assert not [e for e in wait.caller.events if e["type"] == "penny.warning"]


async def test_a_caller_who_hangs_up_turns_the_worker_back() -> None:
    turned_back = asyncio.Event()

    async def opening() -> Speaker:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            turned_back.set()
            raise
        raise AssertionError

    wait = Wait(None, {"type": "realtime"})
    wait.speaker._opening = asyncio.ensure_future(opening())
    await wait.heard()
    await wait.caller.aclose()
    assert turned_back.is_set()


async def test_a_worker_that_came_as_the_caller_left_is_let_go() -> None:
    wait = Wait(None, {"type": "realtime"})
    real = wait.arrive()
    await wait.caller.aclose()
    assert real.closed


async def test_audio_that_is_no_audio_is_left_for_the_worker_to_refuse() -> None:
    async with waiting() as wait:
        wait.speaker.send({"type": "input_audio_buffer.append", "audio": "%%%"})
        wait.speaker.send({"type": "input_audio_buffer.append"})
        odd = b64encode(b"\x01\x02\x03").decode()
        wait.speaker.send({"type": "input_audio_buffer.append", "audio": odd})
        real = wait.arrive()
        await wait.caller.until("penny.progress")
        real.says.try_send({"type": "response.done", "response": {"id": "r"}})
        await wait.caller.until("response.done")
        assert [event.get("audio") for event in real.sent] == ["%%%", None, odd]
