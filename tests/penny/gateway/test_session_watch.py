"""What an operator is told a session costs, and whose it is, when it goes on in another mode."""

from __future__ import annotations

import asyncio

import pytest

from penny.gateway.session_watch import SessionWatches
from penny.session.observers import ModeChange
from penny.session.session import Session, SessionLimits
from penny.session.turn_recorder import TurnRecorder
from tests.doubles.parties import ScriptedEdge, ScriptedSpeaker


pytestmark = pytest.mark.pure


class Wall:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def open_session(mode: str) -> Session:
    clock = asyncio.get_running_loop().time
    limits = SessionLimits(60.0, 60.0)
    return Session("sess_1", mode, ScriptedEdge(), ScriptedSpeaker(), (), limits, clock)


async def test_a_session_that_moves_is_the_other_modes_and_pays_it_from_then_on() -> None:
    wall = Wall()
    watches = SessionWatches({"SELF_HOSTED": 0.06, "EXTERNAL": 0.6}, wall)
    record = {"mode": "SELF_HOSTED"}
    with watches.admitted("sess_1", "SELF_HOSTED", record) as price:
        session = open_session("SELF_HOSTED")
        watch = watches.watch(session, TurnRecorder(0.0))
        moved: dict[tuple[str, str], int] = {}
        event = {"type": "penny.mode_changed", "mode": "EXTERNAL"}

        wall.now = 60.0
        for observer in (ModeChange(session, moved), watch):
            observer.speaker_event(event, 60.0)
        wall.now = 120.0

        assert moved == {("SELF_HOSTED", "EXTERNAL"): 1}
        assert record == {"mode": "EXTERNAL"}
        assert watch.describe(60.0)["mode"] == "EXTERNAL"
        assert price.usd() == pytest.approx(0.06 + 0.6)
        assert watch.describe(60.0)["usd"] == pytest.approx(0.06 + 0.6)
        session.state.totals["usd"] = 0.9
        assert watch.describe(60.0)["usd"] == price.usd() == 0.9


async def test_a_session_that_gave_way_before_it_began_is_the_other_modes_from_then_on() -> None:
    wall = Wall()
    watches = SessionWatches({"SELF_HOSTED": 0.06, "EXTERNAL": 0.6}, wall)
    record = {"mode": "SELF_HOSTED"}
    with watches.admitted("sess_1", "SELF_HOSTED", record) as price:
        watches.watch(open_session("EXTERNAL"), TurnRecorder(0.0))
        wall.now = 60.0

        assert record == {"mode": "EXTERNAL"}
        assert price.usd() == pytest.approx(0.6)
