"""A mode that takes a while to open: what the client is told, and who answers in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from config.schema import Config
from penny.errors import ModeUnavailable
from penny.gateway.socket import SocketDoor
from penny.gateway.trust import build_trust
from penny.session.broker import Broker, BrokerSettings
from penny.session.mode import Availability, SessionSpec
from penny.session.session import SessionLimits
from tests.doubles.caller import Caller, calling
from tests.doubles.parties import ScriptedMode, ScriptedSpeaker


pytestmark = pytest.mark.socket


PROGRESS = {"type": "penny.progress", "stage": "loading_models", "message": "Cargando"}


class ColdMode(ScriptedMode):
    """Tells of its progress and opens when ``ready`` is set, or its caller's patience ends."""

    def __init__(self) -> None:
        super().__init__("SELF_HOSTED", Availability(True))
        self.ready = asyncio.Event()
        self.abandoned = asyncio.Event()
        self.patience_s: list[float | None] = []

    async def open(self, spec: SessionSpec) -> ScriptedSpeaker:
        self.patience_s.append(spec.patience_s)
        spec.tell({**PROGRESS, "eta_ms": 4000})
        try:
            async with asyncio.timeout(spec.patience_s):
                await self.ready.wait()
        except TimeoutError:
            raise ModeUnavailable("cold", retryable=True, code="cold_budget_exceeded") from None
        except asyncio.CancelledError:
            self.abandoned.set()
            raise
        return await super().open(spec)


@asynccontextmanager
async def running_door(mode: ColdMode, **sections: object) -> AsyncIterator[str]:
    config = Config.model_validate(sections)
    settings = BrokerSettings("SELF_HOSTED", True, 10, SessionLimits(60, 60))
    clock = asyncio.get_running_loop().time
    modes = {"SELF_HOSTED": mode, "EXTERNAL": ScriptedMode("EXTERNAL")}
    app = web.Application()
    broker = Broker(modes, settings, (), clock)
    trust = build_trust(config, broker, "127.0.0.1", clock)
    app.router.add_get("/ws", SocketDoor(broker, config, trust.gate, clock).connect)
    await trust.admission.start()
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await trust.admission.aclose()


ALLOWED = {"privacy": {"external_when_cold": True}, "runpod": {"cold_budget_s": 0.05}}


async def end(caller: Caller) -> None:
    await caller.send("session_end")
    await caller.until("session_ended")


async def test_progress_comes_before_the_session_and_pings_are_answered_meanwhile() -> None:
    mode = ColdMode()
    async with running_door(mode) as url, calling(url) as caller:
        await caller.send("session_start")
        progress = await caller.until("session_progress")
        assert (progress["stage"], progress["eta_ms"]) == ("loading_models", 4000)
        await caller.send("ping", nonce="n")
        assert (await caller.until("pong"))["nonce"] == "n"
        mode.ready.set()
        assert (await caller.until("session_started"))["mode"] == "SELF_HOSTED"
        await end(caller)


async def test_a_caller_who_hangs_up_while_a_worker_wakes_is_not_waited_for() -> None:
    mode = ColdMode()
    async with running_door(mode) as url, calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_progress")
        await caller.send("session_end")
        async with asyncio.timeout(60):
            await mode.abandoned.wait()
        assert await caller.closed() == 1000


async def test_a_caller_whose_line_breaks_while_a_worker_wakes_is_not_waited_for() -> None:
    mode = ColdMode()
    async with running_door(mode) as url:
        async with calling(url) as caller:
            await caller.send("session_start")
            await caller.until("session_progress")
        async with asyncio.timeout(60):
            await mode.abandoned.wait()


async def test_a_cold_mode_gives_way_to_external_with_a_warning_where_that_is_allowed() -> None:
    async with running_door(ColdMode(), **ALLOWED) as url, calling(url) as caller:
        await caller.send("session_start")
        assert (await caller.until("session_started"))["mode"] == "EXTERNAL"
        warning = await caller.until("warning")
        assert warning["code"] == "degraded"
        assert "OpenAI" in warning["message"]
        await end(caller)


async def test_who_asked_for_the_private_mode_by_name_gets_no_other() -> None:
    mode = ColdMode()
    async with running_door(mode, **ALLOWED) as url, calling(url) as caller:
        await caller.send("session_start", mode="SELF_HOSTED")
        await caller.until("session_progress")
        assert mode.patience_s == [None]
        mode.ready.set()
        assert (await caller.until("session_started"))["mode"] == "SELF_HOSTED"
        await end(caller)


async def test_without_the_operators_word_nobody_is_moved() -> None:
    mode = ColdMode()
    async with running_door(mode, runpod={"cold_budget_s": 0.05}) as url, calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_progress")
        assert mode.patience_s == [None]
        mode.ready.set()
        assert (await caller.until("session_started"))["mode"] == "SELF_HOSTED"
        await end(caller)
