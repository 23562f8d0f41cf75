"""A private session whose real worker process is killed: another one goes on with it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from modes.self_hosted.conversation import ConversationCopy
from modes.self_hosted.excuse import ExcuseRecorder
from modes.self_hosted.local import LocalWorker
from modes.self_hosted.mode import SelfHostedMode
from modes.self_hosted.source import Place
from modes.self_hosted.speaker import PrivateSpeaker
from penny.errors import SpeakerLost
from penny.session.mode import SessionSpec
from penny.session.turn_recorder import TurnRecorder
from penny.session.turn_timing import TurnTiming
from tests.doubles.parties import ScriptedSpeaker
from tests.doubles.speaker_caller import Caller
from tests.doubles.speech import silence, speak
from tests.doubles.stream import append_events


pytestmark = [pytest.mark.process, pytest.mark.engines]

Json = dict[str, Any]

EXCUSE = {"es": "Perdone, se ha cortado."}
WORKER = (sys.executable, "-m", "tests.doubles.worker_process")


@pytest.fixture
async def source() -> AsyncIterator[LocalWorker]:
    worker = LocalWorker(None, None, start_timeout_s=120, command=WORKER)
    await worker.start()
    yield worker
    await worker.aclose()


async def open_caller(source: LocalWorker) -> Caller:
    mode = SelfHostedMode(source, excuse=EXCUSE)
    return Caller(await mode.open(SessionSpec("sess_1", "es", instructions="Eres Penny.")))


def kill(source: LocalWorker) -> int:
    pid = source.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


async def test_a_worker_killed_in_mid_answer_is_replaced_and_the_turn_answered_again(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    await caller.ask("hola")
    assert await caller.answer() == "Sé 1 cosas. hola"
    await caller.ask("cuéntamelo despacio")
    await caller.until("response.output_audio.delta")
    first = kill(source)

    broken = await caller.until("response.done")
    assert broken["response"]["status"] == "failed"
    assert broken["response"]["status_details"]["error"]["code"] == "worker_lost"
    assert await caller.answer() == EXCUSE["es"]  # at once, in the dead worker's own voice
    assert source.pid in (None, first)
    assert (await caller.until("penny.warning"))["code"] == "degraded"
    assert await caller.answer() == "Sé 2 cosas. hola. cuéntamelo despacio"
    assert source.pid not in (None, first)
    await caller.aclose()


async def test_a_worker_killed_while_the_caller_listens_to_nothing_is_replaced_in_silence(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    await caller.ask("hola")
    await caller.answer()
    kill(source)
    await caller.until("penny.warning")
    before = len(caller.events)

    await caller.ask("sigues ahí")

    assert await caller.answer() == "Sé 2 cosas. hola. sigues ahí"
    shown = [
        e["item"]["id"] for e in caller.events[before:] if e["type"] == "conversation.item.added"
    ]
    assert len(shown) == 2  # the new question and its answer: the seeds are not shown again
    await caller.aclose()


async def test_what_the_caller_said_before_the_worker_died_is_heard_by_the_next(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    question = silence(300) + speak("¿Cuándo vence mi factura?")
    for event in append_events(question):
        caller.speaker.send(event)
    await caller.until("input_audio_buffer.speech_started")
    kill(source)
    await caller.until("penny.warning")
    for event in append_events(silence(1500)):
        caller.speaker.send(event)

    committed = await caller.until("input_audio_buffer.committed")
    assert (await caller.until("conversation.item.input_audio_transcription.completed"))[
        "item_id"
    ] == committed["item_id"]
    assert await caller.answer() == "Sé 1 cosas. hola"
    await caller.aclose()


async def test_words_typed_while_no_worker_lives_are_answered_by_the_next(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    await caller.ask("uno")
    await caller.answer()
    kill(source)
    await caller.ask("dos")

    assert await caller.answer() == EXCUSE["es"]
    await caller.until("penny.warning")
    assert await caller.answer() == "Sé 2 cosas. uno. dos"
    await caller.aclose()


async def test_an_item_asked_for_while_no_worker_lives_is_shown_or_refused_by_the_next(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    content = [{"type": "input_text", "text": "uno"}]
    item = {"id": "item_1", "type": "message", "role": "user", "content": content}
    caller.speaker.send({"type": "conversation.item.create", "item": item})
    await caller.until("conversation.item.done")
    kill(source)
    for item_id in ("item_1", "item_2"):
        caller.speaker.send({"type": "conversation.item.retrieve", "item_id": item_id})
    shown = await caller.until("conversation.item.retrieved")
    assert shown["item"]["content"] == content
    error = (await caller.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", None)
    await caller.aclose()


async def test_an_excuse_that_is_interrupted_is_cut_in_the_next_workers_memory_too(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    await caller.ask("hola")
    await caller.answer()
    await caller.ask("cuéntamelo despacio")
    await caller.until("response.output_audio.delta")
    kill(source)
    await caller.until("response.done")
    excuse = (await caller.until("response.done"))["response"]["output"][0]["id"]
    await caller.until("penny.warning")
    await caller.answer()

    truncate = {"type": "conversation.item.truncate", "item_id": excuse, "content_index": 0}
    caller.speaker.send({**truncate, "audio_end_ms": 600})
    caller.speaker.send({"type": "conversation.item.retrieve", "item_id": excuse})

    item = (await caller.until("conversation.item.retrieved"))["item"]
    assert item["content"][0]["text"] == "Perdone,"
    assert "error" not in [event["type"] for event in caller.events]
    await caller.aclose()


async def test_the_session_as_it_was_last_updated_is_the_next_workers(
    source: LocalWorker,
) -> None:
    caller = await open_caller(source)
    update = {"type": "realtime", "instructions": "Habla de facturas."}
    caller.speaker.send({"type": "session.update", "session": update})
    await caller.until("session.updated")
    kill(source)
    await caller.until("penny.warning")

    caller.speaker.send({"type": "session.update", "session": {"type": "realtime"}})

    session = (await caller.until("session.updated"))["session"]
    assert session["instructions"] == "Habla de facturas."
    assert session["audio"]["input"]["transcription"] is not None
    await caller.aclose()


async def test_a_session_whose_workers_die_one_after_another_ends(source: LocalWorker) -> None:
    caller = await open_caller(source)
    for _ in range(3):
        kill(source)
        await caller.until("penny.warning")
    kill(source)

    with pytest.raises(SpeakerLost, match="4 workers"):
        await caller.until("penny.warning")
    await caller.aclose()


async def test_a_realtime_clients_worker_says_nothing_that_its_client_did_not_ask_for(
    source: LocalWorker,
) -> None:
    mode = SelfHostedMode(source, excuse=EXCUSE)
    caller = Caller(await mode.open(SessionSpec("sess_1", "es", transcripts=False)))
    await caller.ask("uno")
    await caller.answer()
    kill(source)
    await caller.ask("dos")
    await caller.until("penny.warning")
    assert await caller.answer() == EXCUSE["es"]  # by the next worker, for want of a recording
    assert await caller.answer() == "Sé 2 cosas. uno. dos"
    await caller.aclose()


async def test_the_excuse_is_heard_on_a_telephone_line_in_its_own_format(
    source: LocalWorker,
) -> None:
    mode = SelfHostedMode(source, excuse=EXCUSE)
    first = Caller(await mode.open(SessionSpec("sess_1", "es")))
    while not mode._recorded:  # it is recorded beside whatever the session says
        await first.ask("hola")
        await first.answer()
    await first.aclose()
    pcmu = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    caller = Caller(await mode.open(SessionSpec("sess_2", "es", transcripts=False, session=pcmu)))
    # Seconds of it are to come when its first phrase sounds: a late reader is still in time.
    await caller.ask("cuéntamelo todo. Con calma y muy despacio, por favor")
    await caller.until("response.output_audio.delta")
    kill(source)
    broken = await caller.until("response.done")
    assert broken["response"]["status"] == "failed"
    before = len(caller.events)
    assert await caller.answer() == EXCUSE["es"]
    chars = sum(
        len(e["delta"])
        for e in caller.events[before:]
        if e["type"] == "response.output_audio.delta"
    )
    assert 4_000 < chars * 3 / 4 < 8_000 * 4  # one to four seconds at 8000 bytes a second
    await caller.aclose()


async def test_what_a_worker_tells_of_its_cost_is_counted_and_not_passed_on() -> None:
    worker = ScriptedSpeaker()
    place = Place(cast(Any, None), spent_usd=lambda: 0.5)

    async def reopen(_copy: ConversationCopy) -> Any:
        raise AssertionError

    private = PrivateSpeaker(
        cast(Any, worker), place, reopen, session_id="s", excuse=ExcuseRecorder({}, ("es", ""), "x")
    )
    caller = Caller(private)
    assert private.spent_usd == 0.5
    worker.says.try_send({"type": "penny.cost", "usd_total": 0.25})
    worker.says.try_send({"type": "response.done", "response": {"id": "r"}})
    await caller.until("response.done")
    assert [event["type"] for event in caller.events] == ["penny.session", "response.done"]
    assert private.spent_usd == 0.75
    await caller.aclose()
    assert private.spent_usd == 0.75


async def test_positions_in_the_audio_stay_the_callers_own_when_another_worker_hears_it() -> None:
    workers = [ScriptedSpeaker(), ScriptedSpeaker()]

    async def reopen(_copy: ConversationCopy) -> Any:
        return workers[1], Place(cast(Any, None))

    private = PrivateSpeaker(
        cast(Any, workers[0]),
        Place(cast(Any, None)),
        reopen,
        session_id="s",
        excuse=ExcuseRecorder({}, ("es", ""), "x"),
    )
    caller = Caller(private)
    timing: list[Json] = []
    turns = TurnRecorder(0.0)
    turns.add_reader(TurnTiming(timing.append, lambda _stage, _ms: None))

    async def hear(since_ms: int, until_ms: int) -> None:
        for at_ms in range(since_ms, until_ms, 20):
            event = {"type": "input_audio_buffer.append", "audio": "A" * 64 * 20}
            turns.caller_event(event, (at_ms + 20) / 1000)
            private.send(event)

    detection = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    workers[0].says.try_send({"type": "session.updated", "session": detection})
    await caller.until("session.updated")
    await hear(0, 10_000)
    workers[0].break_off()
    await caller.until("penny.warning")
    heard_ms = sum(len(event["audio"]) for event in workers[1].sent) // 64
    assert heard_ms == 600  # what was not a turn yet, to the sample
    await hear(10_000, 12_000)
    began_ms, ended_ms = heard_ms + 500, heard_ms + 1_700
    for event in (
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": began_ms, "item_id": "i"},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": ended_ms, "item_id": "i"},
        {"type": "penny.turn.decided", "speech_end_ms": ended_ms - 500, "item_id": "i"},
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_text.delta", "response_id": "r", "item_id": "p", "delta": "Sí"},
        {"type": "response.done", "response": {"id": "r", "status": "completed"}},
    ):
        workers[1].says.try_send(event)
        turns.speaker_event(await caller.until(event["type"]), 12.0)
    told = {event["type"]: event for event in caller.events}
    assert told["input_audio_buffer.speech_started"]["audio_start_ms"] == 10_500
    assert told["input_audio_buffer.speech_stopped"]["audio_end_ms"] == 11_700
    [metrics] = timing
    assert metrics["speech_ms"] == 700
    assert metrics["latency_ms"]["done"] == 800  # from 11.2 s, where the caller's last word ended
    await caller.aclose()


async def test_a_hint_reaches_the_worker_as_a_line_of_the_systems_and_the_caller_sees_none() -> (
    None
):
    worker = ScriptedSpeaker()

    async def reopen(_copy: ConversationCopy) -> Any:
        raise AssertionError

    private = PrivateSpeaker(
        cast(Any, worker),
        Place(cast(Any, None)),
        reopen,
        session_id="s",
        excuse=ExcuseRecorder({}, ("es", ""), "x"),
    )
    caller = Caller(private)
    private.hint("[ÁNIMO] La persona está molesta.")
    private.hint("[SIN AVANCE] Ofrece una persona.")
    first, gone, second = worker.sent
    assert first["item"]["role"] == "system"
    assert first["item"]["content"][0]["text"] == "[ÁNIMO] La persona está molesta."
    assert (gone["type"], gone["item_id"]) == ("conversation.item.delete", first["item"]["id"])
    assert second["item"]["content"][0]["text"] == "[SIN AVANCE] Ofrece una persona."
    for event in (
        {"type": "conversation.item.added", "item": first["item"]},
        {"type": "conversation.item.done", "item": first["item"]},
        {"type": "conversation.item.deleted", "item_id": first["item"]["id"]},
        {"type": "response.done", "response": {"id": "r"}},
    ):
        worker.says.try_send(event)
    await caller.until("response.done")
    assert [event["type"] for event in caller.events] == ["penny.session", "response.done"]
    await caller.aclose()
