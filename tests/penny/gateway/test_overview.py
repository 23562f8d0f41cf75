"""What the operator's page is told of a gateway: true figures, bounded, and no words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from penny.gateway.overview import (
    KEPT_ERRORS,
    KEPT_STEPS,
    LATENCIES_A_MODE,
    LATENCIES_A_STEP,
    Overview,
    SessionOverview,
    percentile,
)
from penny.metering.price import SessionPrice
from penny.session.session import Session, SessionLimits
from penny.session.turn_record import Response, TurnRecord
from penny.session.turn_recorder import TurnRecorder
from tests.doubles.parties import ScriptedEdge, ScriptedSpeaker


pytestmark = pytest.mark.pure


Json = dict[str, Any]


class Wall:
    """Seconds since the epoch, moved by hand; begins on a full minute."""

    def __init__(self) -> None:
        self.now = 1_766_000_040.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def overview(wall: Wall) -> Overview:
    prices = {"SELF_HOSTED": 0.06, "EXTERNAL": 0.6}

    def price_of(session: Session) -> SessionPrice:
        price = SessionPrice(prices, session.mode, wall)
        price.totals = session.state.totals
        return price

    return Overview(wall, price_of)


async def open_session(overview: Overview, name: str = "sess_1") -> tuple[Session, SessionOverview]:
    clock = asyncio.get_running_loop().time
    limits = SessionLimits(max_s=60, idle_s=60)
    session = Session(name, "SELF_HOSTED", ScriptedEdge(), ScriptedSpeaker(), (), limits, clock)
    return session, overview.observe(session, TurnRecorder(0.0))


def answered(ms: int | None) -> TurnRecord:
    response = Response("r1", 0.0, first_audio_ms=ms, done_ms=900.0)
    return TurnRecord(1, 0.0, "item_1", responses=[response])


async def test_state_follows_the_call(overview: Overview) -> None:
    _, seen = await open_session(overview)
    states = [seen.state]
    for kind in (
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.content_part.added",
        "response.done",
    ):
        seen.speaker_event({"type": kind, "response": {"status": "completed"}}, 0.0)
        states.append(seen.state)

    assert states == ["listening", "hearing", "thinking", "thinking", "speaking", "listening"]
    written = {"type": "response.content_part.added", "part": {"type": "text", "text": ""}}
    seen.speaker_event(written, 0.0)
    assert seen.state == "listening"


async def test_answer_times_reach_the_session_and_the_minute(overview: Overview) -> None:
    _, seen = await open_session(overview)
    for ms in (300, 500, 400, None):
        seen.turn_answered(answered(ms))
    told = overview.describe()

    assert told["live"]["sess_1"]["latency_ms"] == {"p50": 400, "p95": 500}
    assert told["series"]["latency_p50_ms"] == [400]
    assert told["series"]["latency_p95_ms"] == [500]


async def test_a_mode_is_measured_by_its_last_spoken_turns(overview: Overview) -> None:
    session, seen = await open_session(overview)
    assert overview.measured("SELF_HOSTED") is None
    seen.turn_answered(replace(answered(100), input="text"))
    for ms in (900, *range(LATENCIES_A_MODE)):
        seen.turn_answered(answered(ms))
    assert overview.measured("SELF_HOSTED") == {"p50": 31, "p95": 60, "turns": LATENCIES_A_MODE}
    session.mode = "EXTERNAL"
    seen.turn_answered(answered(700))
    assert overview.measured("EXTERNAL") == {"p50": 700, "p95": 700, "turns": 1}


async def test_unmetered_session_costs_its_minutes_and_a_metered_one_its_meter(
    overview: Overview, wall: Wall
) -> None:
    session, _ = await open_session(overview)
    overview.describe()
    wall.now += 30
    assert overview.describe()["live"]["sess_1"]["usd"] == pytest.approx(0.03)
    session.state.totals["usd"] = 0.2
    wall.now += 60
    told = overview.describe()
    assert told["live"]["sess_1"]["usd"] == pytest.approx(0.2)
    assert told["series"]["usd"] == pytest.approx([0.03, 0.17])


async def test_quiet_minutes_are_told_as_quiet(overview: Overview, wall: Wall) -> None:
    _, seen = await open_session(overview)
    overview.note_latency(300)
    wall.now += 120
    seen.ended("client_ended", 0.0)
    wall.now += 60
    series = overview.describe()["series"]

    assert series["at"] == [1_766_000_040.0 + 60 * n for n in range(4)]
    assert series["sessions"] == [1, 1, 1, 0]
    assert series["latency_p50_ms"] == [300, None, None, None]


async def test_errors_are_told_newest_first_and_races_are_not(overview: Overview) -> None:
    _, seen = await open_session(overview)
    benign = {"type": "error", "error": {"code": "response_cancel_not_active"}}
    seen.speaker_event(benign, 0.0)
    seen.speaker_event({"type": "error", "error": {"code": "engine_failed"}}, 0.0)
    failed = {"status": "failed", "status_details": {"error": {"code": "rate_limit_exceeded"}}}
    seen.speaker_event({"type": "response.done", "response": failed}, 0.0)
    seen.ended("speaker_lost", 0.0)
    told = overview.describe()

    codes = [error["code"] for error in told["errors"]]
    assert codes == ["speaker_lost", "rate_limit_exceeded", "engine_failed"]
    assert told["errors"][0]["session_id"] == "sess_1"
    assert told["series"]["errors"] == [3]
    assert told["live"] == {}


async def test_proper_goodbye_is_no_error(overview: Overview) -> None:
    _, seen = await open_session(overview)
    seen.ended("client_ended", 0.0)

    assert overview.describe()["errors"] == []


async def test_everything_is_bounded(overview: Overview, wall: Wall) -> None:
    _, seen = await open_session(overview)
    for _ in range(LATENCIES_A_STEP + 50):
        overview.note_latency(300)
    for _ in range(KEPT_ERRORS + 50):
        seen.speaker_event({"type": "error", "error": {"type": "server_error"}}, 0.0)
    assert len(overview.describe()["errors"]) == KEPT_ERRORS
    assert len(overview._steps[-1].latencies_ms) == LATENCIES_A_STEP
    wall.now += (KEPT_STEPS - 1) * 60
    assert len(overview.describe()["series"]["at"]) == KEPT_STEPS
    wall.now += 30 * 24 * 3600
    assert overview.describe()["series"]["at"] == [wall.now - wall.now % 60]


def test_percentile_is_the_nearest_rank() -> None:
    assert percentile([], 50) is None
    assert percentile([7], 95) == 7
    assert percentile(range(1, 101), 50) == 50
    assert percentile(range(1, 101), 95) == 95
