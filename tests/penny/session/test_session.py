"""A session's life on a clock that jumps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from penny.session.endings import LimitWatch
from penny.session.session import AUDIO, STALL_S, Session, SessionLimits
from penny.session.turn_recorder import TurnRecorder
from tests.doubles.parties import ScriptedEdge, ScriptedSpeaker


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]


class Recorder:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.end: str | None = None

    def caller_event(self, event: Json, at_s: float) -> None:
        self.seen.append(("caller", event["type"]))

    def speaker_event(self, event: Json, at_s: float) -> None:
        self.seen.append(("speaker", event["type"]))

    def ended(self, reason: str, at_s: float) -> None:
        self.end = reason


class Clumsy(Recorder):
    def caller_event(self, event: Json, at_s: float) -> None:
        raise ValueError("an observer's own fault")


def make(edge: ScriptedEdge, speaker: ScriptedSpeaker, *observers: Recorder) -> Session:
    limits = SessionLimits(max_s=600, idle_s=60)
    clock = asyncio.get_running_loop().time
    return Session("sess_1", "TEST", edge, speaker, observers, limits, clock)


def make_limited(edge: ScriptedEdge, speaker: ScriptedSpeaker) -> Session:
    session = make(edge, speaker)
    session.add_observer(LimitWatch(session, TurnRecorder(session.state.started_s)))
    return session


async def test_events_go_both_ways_past_the_observers_in_order() -> None:
    edge, speaker, recorder = ScriptedEdge(), ScriptedSpeaker(), Recorder()
    session = make(edge, speaker, recorder)
    running = asyncio.create_task(session.run())
    await edge.said.send({"type": "response.create"})
    await speaker.says.send({"type": "response.created"})
    await asyncio.sleep(1)
    edge.said.close()
    assert await running == "client_gone"
    assert [event["type"] for event in speaker.sent] == ["response.create"]
    assert [event["type"] for event in edge.delivered] == ["response.created"]
    assert set(recorder.seen) == {("caller", "response.create"), ("speaker", "response.created")}
    assert recorder.end == "client_gone"
    assert edge.closed is not None
    assert speaker.closed


async def test_a_speaker_that_breaks_off_ends_the_session_by_name() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    running = asyncio.create_task(make(edge, speaker).run())
    await asyncio.sleep(1)
    speaker.break_off()
    assert await running == "speaker_lost"
    assert edge.closed is not None
    assert edge.closed[0] == "speaker_lost"


async def test_an_observer_that_fails_stops_nothing() -> None:
    edge, speaker, recorder = ScriptedEdge(), ScriptedSpeaker(), Recorder()
    running = asyncio.create_task(make(edge, speaker, Clumsy(), recorder).run())
    await edge.said.send({"type": "response.create"})
    await asyncio.sleep(1)
    edge.said.close()
    await running
    assert speaker.sent == [{"type": "response.create"}]
    assert recorder.seen == [("caller", "response.create")]


async def test_a_session_in_which_nobody_speaks_ends_as_idle() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    started = asyncio.get_running_loop().time()
    assert await make_limited(edge, speaker).run() == "idle"
    assert asyncio.get_running_loop().time() - started == pytest.approx(60, abs=0.1)


async def test_a_lively_session_ends_at_its_time_limit() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    running = asyncio.create_task(make_limited(edge, speaker).run())
    started = asyncio.get_running_loop().time()

    async def chat() -> None:
        while True:
            await asyncio.sleep(30)
            await speaker.says.send({"type": "response.created"})

    chatting = asyncio.create_task(chat())
    assert await running == "time_limit"
    chatting.cancel()
    assert asyncio.get_running_loop().time() - started == pytest.approx(600, abs=0.1)


async def test_the_first_reason_to_end_is_the_one_that_counts() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    session = make(edge, speaker)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    session.end("operator")
    session.end("drain")
    assert await running == "operator"


async def test_no_task_is_left_behind() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    session = make(edge, speaker)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    session.tell_caller({"type": "penny.cost"})
    await asyncio.sleep(0.1)
    session.end("operator")
    await running
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert {"type": "penny.cost"} in edge.delivered


async def test_what_an_observer_says_last_comes_before_the_goodbye() -> None:
    class Accountant(Recorder):
        def __init__(self, session: Session) -> None:
            super().__init__()
            self._session = session

        def ended(self, reason: str, at_s: float) -> None:
            self._session.tell_caller({"type": "penny.cost", "usd_total": 0.5})

    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    session = make(edge, speaker)
    session.add_observer(Accountant(session))
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    session.end("operator")
    await running
    assert edge.delivered == [{"type": "penny.cost", "usd_total": 0.5}]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_who_cannot_be_told_something_is_noted_and_the_call_goes_on() -> None:
    class Deaf(ScriptedEdge):
        def deliver(self, event: Json) -> None:
            raise RuntimeError("out of order")

    edge, speaker = Deaf(), ScriptedSpeaker()
    session = make(edge, speaker)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    with capture_logs() as logs:
        session.tell_caller({"type": "penny.cost"})
        await asyncio.sleep(1)
    assert [entry["event"] for entry in logs] == ["caller_not_told"]
    session.end("operator")
    assert await running == "operator"


async def test_what_a_speaker_brings_is_delivered_and_shown_in_the_same_step() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    observer = Recorder()
    session = make(edge, speaker, observer)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(50)
    speaker.sink.on_event({"type": "response.created"})
    assert [event["type"] for event in edge.delivered] == ["response.created"]
    assert observer.seen == [("speaker", "response.created")]
    assert session.state.last_activity_s == asyncio.get_running_loop().time(), "a sign of life"
    session.end("operator")
    await running


async def test_a_fault_in_what_a_speaker_brings_ends_the_session_as_any_other() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    session = make(edge, speaker)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    with capture_logs() as logs:
        speaker.sink.on_event({"no": "type"})
        assert await running == "error"
    assert [entry["event"] for entry in logs] == ["session_task_failed"]


async def test_a_caller_is_read_no_further_while_the_speaker_is_full() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    session = make(edge, speaker)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    speaker.room.clear()
    for number in range(3):
        await edge.said.send({"type": AUDIO, "audio": str(number)})
    await asyncio.sleep(STALL_S / 2)
    assert [event["audio"] for event in speaker.sent] == ["0"]
    assert not edge.reads.is_set()
    speaker.room.set()
    await asyncio.sleep(0.1)
    assert [event["audio"] for event in speaker.sent] == ["0", "1", "2"]
    assert edge.reads.is_set()
    assert session.state.dropped_in == 0
    session.end("operator")
    await running


async def test_an_interruption_passes_the_audio_that_a_frozen_speaker_never_takes() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    session = make(edge, speaker)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(1)
    speaker.room.clear()
    for event in ({"type": AUDIO}, {"type": AUDIO}, {"type": "response.cancel"}):
        await edge.said.send(event)
    with capture_logs() as logs:
        await asyncio.sleep(STALL_S * 2)
    assert [entry["event"] for entry in logs] == ["speaker_stalled"]
    assert [event["type"] for event in speaker.sent] == [AUDIO, "response.cancel"]
    assert session.state.dropped_in == 1
    edge.said.close()
    assert await running == "client_gone", "a goodbye arrives too"


async def test_a_speaker_lost_while_it_is_waited_for_ends_the_session_once() -> None:
    edge, speaker = ScriptedEdge(), ScriptedSpeaker()
    running = asyncio.create_task(make(edge, speaker).run())
    await asyncio.sleep(1)
    speaker.room.clear()
    await edge.said.send({"type": AUDIO})
    await asyncio.sleep(0.1)
    with capture_logs() as logs:
        speaker.break_off()
        assert await running == "speaker_lost"
    assert [entry["event"] for entry in logs] == ["speaker_lost"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
