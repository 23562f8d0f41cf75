"""How a session is told of its limits and ends at them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from penny.session.endings import LimitWatch
from penny.session.observers import ObserverDispatch
from penny.session.session import SessionLimits, SessionState


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]


@dataclass
class Watched:
    """A session, and its turns, that notes what it is told and when it is ended."""

    state: SessionState
    limits: SessionLimits
    told: list[tuple[str, float]] = field(default_factory=list)
    ends: list[tuple[str, float]] = field(default_factory=list)
    playing_until_s: float = 0.0

    def left_s(self, at_s: float) -> float:
        return max(0.0, self.playing_until_s - at_s)

    def tell_caller(self, event: Json) -> None:
        assert (event["type"], event["code"]) == ("penny.warning", "ending_soon")
        self.told.append((event["message"], asyncio.get_running_loop().time()))

    def end(self, reason: str) -> None:
        self.ends.append((reason, asyncio.get_running_loop().time()))


def watch(max_s: float, idle_s: float) -> tuple[Watched, ObserverDispatch]:
    now_s = asyncio.get_running_loop().time()
    session = Watched(SessionState(now_s, now_s), SessionLimits(max_s, idle_s, grace_s=30.0))
    return session, ObserverDispatch("sess_1", [LimitWatch(session, session)])


async def test_the_longest_duration_is_told_a_minute_ahead_and_kept() -> None:
    session, _ = watch(600.0, 10_000.0)

    await asyncio.sleep(700)

    assert session.told == [("the session reaches its longest duration in 60 s", 540.0)]
    assert session.ends == [("time_limit", pytest.approx(600.0))]


async def test_nothing_is_cut_that_either_side_is_saying() -> None:
    session, observer = watch(600.0, 10_000.0)
    await asyncio.sleep(595)
    observer.speaker_event({"type": "input_audio_buffer.speech_started"}, 595.0)
    await asyncio.sleep(10)
    observer.speaker_event({"type": "input_audio_buffer.speech_stopped"}, 605.0)
    observer.speaker_event({"type": "response.created", "response": {"id": "r"}}, 605.0)
    await asyncio.sleep(3)
    session.playing_until_s = 612.0
    observer.speaker_event({"type": "response.done", "response": {"id": "r"}}, 608.0)
    await asyncio.sleep(10)

    assert session.ends == [("time_limit", pytest.approx(612.0, abs=0.3))]


async def test_who_never_falls_silent_is_cut_after_the_grace() -> None:
    session, observer = watch(600.0, 10_000.0)
    observer.speaker_event({"type": "input_audio_buffer.speech_started"}, 0.0)
    await asyncio.sleep(700)

    assert session.ends == [("time_limit", pytest.approx(630.0, abs=0.3))]


async def test_silence_is_told_of_each_time_and_a_word_begins_it_anew() -> None:
    session, _ = watch(100_000.0, 300.0)
    await asyncio.sleep(280)
    session.state.last_activity_s = 280.0
    await asyncio.sleep(400)

    ahead = "without speech or text the session ends in 30 s"
    assert session.told == [(ahead, 270.0), (ahead, pytest.approx(550.0))]
    assert session.ends == [("idle", pytest.approx(580.0))]


async def test_a_session_that_ended_is_left_alone() -> None:
    session, observer = watch(600.0, 300.0)
    observer.ended("client_ended", 1.0)
    await asyncio.sleep(700)

    assert session.told == session.ends == []
