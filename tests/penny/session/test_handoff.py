"""When a session that was handed to a person ends."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import pytest

from penny.session.endings import GOODBYE_WITHIN_S, HEARD_AFTER_S, HandoffEnd
from penny.session.observers import ObserverDispatch
from penny.session.turn_recorder import TurnRecorder


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]


class Ended:
    """Notes when and why it was asked to end."""

    def __init__(self) -> None:
        self.reasons: list[tuple[str, float]] = []

    def end(self, reason: str) -> None:
        self.reasons.append((reason, asyncio.get_running_loop().time()))


def observed() -> tuple[Ended, ObserverDispatch]:
    now_s = asyncio.get_running_loop().time()
    session, turns = Ended(), TurnRecorder(now_s)
    end = HandoffEnd(session, turns)
    return session, ObserverDispatch("sess_1", [turns, end])


def response(kind: str, response_id: str) -> Json:
    return {"type": f"response.{kind}", "response": {"id": response_id, "status": "completed"}}


def audio(seconds: float) -> Json:
    delta = b64encode(bytes(round(seconds * 48_000))).decode()
    place = {"response_id": "goodbye", "item_id": "item_p"}
    return {"type": "response.output_audio.delta", **place, "delta": delta}


HANDOFF: Json = {"type": "penny.handoff", "summary": ""}


async def test_session_ends_when_the_goodbye_has_been_heard() -> None:
    session, observer = observed()
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    told = [response("created", "asks"), HANDOFF, response("done", "asks")]
    told += [response("created", "goodbye"), audio(3.0), response("done", "goodbye")]
    for event in told:
        observer.speaker_event(event, loop.time())
    await asyncio.sleep(3.0)
    assert session.reasons == [], "it still sounds"
    await asyncio.sleep(60.0)
    [(reason, at_s)] = session.reasons
    assert reason == "handoff"
    assert at_s - start_s == pytest.approx(3.0 + HEARD_AFTER_S, abs=0.01)


async def test_goodbye_that_the_caller_speaks_over_ends_the_session_soon() -> None:
    session, observer = observed()
    loop = asyncio.get_running_loop()
    for event in (HANDOFF, response("created", "goodbye"), audio(20.0)):
        observer.speaker_event(event, loop.time())
    started = {"type": "input_audio_buffer.speech_started", "item_id": "u1", "audio_start_ms": 0}
    observer.speaker_event(started, loop.time())
    observer.speaker_event(response("done", "goodbye"), loop.time())
    await asyncio.sleep(1.0)
    assert [reason for reason, _ in session.reasons] == ["handoff"]


async def test_speaker_without_a_goodbye_keeps_nobody_waiting() -> None:
    session, observer = observed()
    start_s = asyncio.get_running_loop().time()
    observer.speaker_event(HANDOFF, start_s)
    await asyncio.sleep(60.0)
    assert session.reasons == [("handoff", pytest.approx(start_s + GOODBYE_WITHIN_S))]


async def test_session_that_ended_by_itself_is_left_alone() -> None:
    session, observer = observed()
    now_s = asyncio.get_running_loop().time()
    observer.speaker_event(HANDOFF, now_s)
    observer.ended("client_ended", now_s)
    await asyncio.sleep(60.0)
    assert session.reasons == []


async def test_a_goodbye_on_a_telephone_line_is_heard_to_its_end_too() -> None:
    session, observer = observed()
    loop = asyncio.get_running_loop()
    pcmu = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    goodbye = {
        **audio(0.0),
        "delta": b64encode(bytes(8_000 * 3)).decode(),
    }
    told = [{"type": "session.updated", "session": pcmu}, HANDOFF]
    told += [response("created", "goodbye"), goodbye, response("done", "goodbye")]
    start_s = loop.time()
    for event in told:
        observer.speaker_event(event, loop.time())
    await asyncio.sleep(60.0)
    [(_, at_s)] = session.reasons
    assert at_s - start_s == pytest.approx(3.0 + HEARD_AFTER_S, abs=0.01)
