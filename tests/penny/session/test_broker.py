"""Who is admitted, who answers, and how a gateway drains."""

from __future__ import annotations

import asyncio

import pytest

from penny.errors import ModeUnavailable, ProtocolError, SessionRefused
from penny.session.broker import Broker, BrokerSettings
from penny.session.mode import Availability, SessionSpec
from penny.session.session import SessionLimits
from tests.doubles.parties import ScriptedEdge, ScriptedMode


pytestmark = pytest.mark.virtual_time

OFF = Availability(False, "OPENAI_API_KEY is not set", "export OPENAI_API_KEY=…")


def make(*, selection: bool = True, max_sessions: int = 2) -> Broker:
    modes = {"SELF_HOSTED": ScriptedMode("SELF_HOSTED"), "EXTERNAL": ScriptedMode("EXTERNAL", OFF)}
    settings = BrokerSettings(
        default_mode="SELF_HOSTED",
        allow_user_selection=selection,
        max_sessions=max_sessions,
        limits=SessionLimits(max_s=600, idle_s=60),
    )
    return Broker(modes, settings, (), asyncio.get_running_loop().time)


async def hold(broker: Broker) -> tuple[asyncio.Task[str], ScriptedEdge]:
    """A session that lives until its edge hangs up."""
    edge = ScriptedEdge()
    mode = broker.choose(None)
    spec = SessionSpec(session_id=f"sess_{id(edge)}", language="es")

    async def run() -> str:
        async with broker.admit():
            return await broker.run(mode, spec, edge, await broker.open(mode, spec))

    task = asyncio.create_task(run())
    await asyncio.sleep(0.01)
    return task, edge


async def test_no_mode_named_gives_the_default() -> None:
    assert make().choose(None).name == "SELF_HOSTED"


async def test_an_unknown_mode_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(ProtocolError) as refused:
        make().choose("FAST")
    assert refused.value.message == "mode: 'FAST' is not a mode; available: SELF_HOSTED"
    assert (refused.value.code, refused.value.field) == ("mode_unknown", "mode")


async def test_a_mode_that_cannot_talk_tells_why_and_the_remedy() -> None:
    with pytest.raises(ModeUnavailable) as refused:
        make().choose("EXTERNAL")
    assert "OPENAI_API_KEY is not set" in refused.value.message
    assert refused.value.remedy == "export OPENAI_API_KEY=…"


async def test_choosing_may_be_forbidden() -> None:
    broker = make(selection=False)
    assert broker.choose("SELF_HOSTED").name == "SELF_HOSTED"
    with pytest.raises(ProtocolError, match="not allowed"):
        broker.choose("EXTERNAL")


async def test_one_session_more_than_there_is_room_for_is_refused_and_counted() -> None:
    broker = make(max_sessions=2)
    held = [await hold(broker) for _ in range(2)]
    with pytest.raises(SessionRefused, match="all 2 sessions"):
        async with broker.admit():
            pass
    assert broker.counts.refused == {"full": 1}
    for _, edge in held:
        edge.said.close()
    await asyncio.gather(*(task for task, _ in held))
    async with broker.admit():
        assert broker.counts.ended == {("SELF_HOSTED", "client_gone"): 2}


async def test_draining_refuses_new_sessions_and_waits_for_the_live_ones() -> None:
    broker = make()
    task, edge = await hold(broker)
    draining = asyncio.create_task(broker.drain(30))
    await asyncio.sleep(1)
    with pytest.raises(SessionRefused, match="shutting down"):
        async with broker.admit():
            pass
    assert not draining.done()
    edge.said.close()
    await draining
    assert await task == "client_gone"


async def test_a_session_that_outlives_the_drain_is_ended_with_that_reason() -> None:
    broker = make()
    task, edge = await hold(broker)
    started = asyncio.get_running_loop().time()
    await broker.drain(30)
    assert await task == "drain"
    assert asyncio.get_running_loop().time() - started == pytest.approx(30, abs=0.5)
    assert edge.closed is not None
    assert edge.closed[0] == "drain"
    assert not broker.sessions
