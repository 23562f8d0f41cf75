"""What an operator is told a session costs, and whose it is, when it goes on in another mode."""

from __future__ import annotations

import asyncio

import pytest

from penny.gateway.session_watch import SessionWatches
from penny.session.mode_change import ModeChange
from penny.session.session import Session, SessionLimits
from tests.doubles.parties import ScriptedEdge, ScriptedSpeaker


def open_session(mode: str) -> Session:
    clock = asyncio.get_running_loop().time
    limits = SessionLimits(60.0, 60.0)
    return Session("sess_1", mode, ScriptedEdge(), ScriptedSpeaker(), (), limits, clock)


async def test_a_session_that_moves_is_the_other_modes_and_pays_it_from_then_on() -> None:
    watches = SessionWatches({"SELF_HOSTED": 0.06, "EXTERNAL": 0.6})
    record = {"mode": "SELF_HOSTED"}
    meter = watches.meter("sess_1", "SELF_HOSTED", record)
    session = open_session("SELF_HOSTED")
    watch = watches.watch(session)
    moved: dict[tuple[str, str], int] = {}
    began_s = session.state.started_s
    event = {"type": "penny.mode_changed", "mode": "EXTERNAL"}

    for observer in (ModeChange(session, moved), watch):
        observer.speaker_event(event, began_s + 60.0)

    assert moved == {("SELF_HOSTED", "EXTERNAL"): 1}
    assert record == {"mode": "EXTERNAL"}
    assert watch.describe(began_s + 60.0)["mode"] == "EXTERNAL"
    assert watch.turns == 0
    assert meter(120.0) == pytest.approx(0.06 + 0.6)


async def test_a_session_that_gave_way_before_it_began_is_the_other_modes_all_along() -> None:
    watches = SessionWatches({"SELF_HOSTED": 0.06, "EXTERNAL": 0.6})
    meter = watches.meter("sess_1", "SELF_HOSTED")

    watches.watch(open_session("EXTERNAL"))

    assert meter.record == {"mode": "EXTERNAL"}
    assert meter(60.0) == pytest.approx(0.6)
