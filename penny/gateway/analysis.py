"""Analysis of calls that are over: a process beside a gateway, told when it may work.

    GET /processing/stats    how far it is

It is started with the first call that is kept, looked after, and ends with this process. While many
sessions are live, or at hours that are named, it waits.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from prometheus_client.core import Metric

from config.schema import Config
from kb.embedder import Embedder
from penny.aio.tasks import TaskOwner
from penny.analysis.batch.jobs import Jobs
from penny.analysis.live.watch import LiveAnalysis, LiveCall, Ways
from penny.calls.record import Alert
from penny.gateway.end_watch import EndWatch
from penny.gateway.json_routes import as_json, told, whose
from penny.gateway.kb import SharedKb
from penny.gateway.kept_calls import KeptCalls
from penny.gateway.overview import Overview
from penny.session.broker import Broker
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder


if TYPE_CHECKING:
    from penny.analysis.batch.bell import Bell

log = structlog.get_logger()

Json = dict[str, Any]

LOOKS_EVERY_S = 10.0
"""How often it is seen whether the process may work."""
HOUR_S = 3600.0
BACK_OFF_S = 60.0
"""Before a process that ended by itself is started again."""
STOP_S = 10.0
COMMAND = (sys.executable, "-m", "penny", "analyse", "--bidden", "--gives-way")


class CallAnalysis:
    """The process that analyses this gateway's calls, and what is told of it.

    Args:
        wall_clock: Unix time in seconds.
        command: what is run; it reads ``go`` and ``hold`` from its standard input.
    """

    def __init__(
        self,
        config: Config,
        kept: KeptCalls,
        broker: Broker,
        wall_clock: Callable[[], float],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._config = config
        self._kept = kept
        self._broker = broker
        self._wall_clock = wall_clock
        self._command = command
        self._jobs = Jobs(kept.keeper.store, "", "", lambda: round(wall_clock() * 1000))
        self._process: Process | None = None
        self._bell: Bell | None = None
        self._live: LiveAnalysis | None = None
        self._ends = EndWatch(kept.keeper.store, wall_clock, config.gateway.session_max_s)
        self._told = ""
        self._seen = 0
        self._tasks = TaskOwner("analysis")

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/processing/stats", told(self._stats))

    def collect(self) -> Iterator[Metric]:
        """How calls end, where that is unusual."""
        return self._ends.collect()

    def start(self, overview: Overview, kb: SharedKb | None) -> None:
        """Watch every session that opens from now on, and look after the process, where that is
        asked for. Call it after ``KeptCalls.attach``."""
        section = self._config.analysis
        self._ends.start()
        if section.live:

            def embedder() -> Embedder | None:
                base = kb.base if kb is not None and section.vectors else None
                found = base.settings.embedder if base is not None else None
                return None if found is None or found.resting else found

            self._live = LiveAnalysis(embedder)
            self._broker.add_observer(partial(self._watch, self._live, overview))
        if section.enabled and section.embedded:
            self._tasks.spawn(self._look_on(), name="analysis")
        if section.enabled and self._config.redis.url is not None:
            # Here, not above: a gateway alone loads nothing of the bell's.
            from penny.analysis.batch.bell import open_bell

            self._bell = open_bell(self._config)
            assert self._bell is not None
            self._tasks.spawn(self._ring_on(self._bell), name="ring for workers")

    def _watch(
        self, live: LiveAnalysis, overview: Overview, session: Session, turns: TurnRecorder
    ) -> LiveCall:
        recorder = self._kept.recorder_of(session.id)
        tenant, language = recorder.header["tenant"], recorder.header["language"]

        def alert(told: Alert, at_s: float) -> None:
            recorder.raise_alert(told, at_s)
            overview.note_alert(session.id, told.kind, told.turns)

        ways = Ways(session.hint, alert, recorder.note_mood)
        call = live.watch(ways, language, self._config.tenant_analysis(tenant).alert_intents or ())
        turns.add_reader(call)
        return call

    async def aclose(self) -> None:
        """End it; what it had in hand is taken up at the next start."""
        if self._live is not None:
            await self._live.aclose()
        await self._ends.aclose()
        await self._tasks.aclose()
        await self._stop()
        if self._bell is not None:
            await self._bell.aclose()

    # -- when ---------------------------------------------------------------------------------

    @property
    def may_work(self) -> bool:
        """Whether it is quiet enough here."""
        section = self._config.analysis
        zone = self._kept.zone("default")
        hour = datetime.fromtimestamp(self._wall_clock(), zone).hour
        most = self._config.gateway.max_sessions
        busy = max(1, most // 2) if section.busy_sessions is None else section.busy_sessions
        return hour not in section.busy_hours and len(self._broker.sessions) < busy

    async def _look_on(self) -> None:
        rung_s = self._wall_clock()
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            is_hour = self._wall_clock() - rung_s >= HOUR_S
            is_news = self._kept.keeper.kept != self._seen
            if self.may_work and (is_news or is_hour):
                rung_s, self._seen = self._wall_clock(), self._kept.keeper.kept
                await self._order("go")
            elif not self.may_work and self._told == "go":
                await self._order("hold")
                self._seen = -1  # it goes on when it is quiet again

    async def _ring_on(self, bell: Bell) -> None:
        """Wake workers on other machines when calls were kept."""
        seen = 0
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            if self._kept.keeper.kept != seen:
                seen = self._kept.keeper.kept
                await bell.ring()

    async def _order(self, word: str) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            if process is not None:
                log.error("analysis_process_ended", status=process.returncode)
                await asyncio.sleep(BACK_OFF_S)
            path = self._config.origin.path
            file = ("--config", str(path)) if path is not None else ()
            try:
                process = await asyncio.create_subprocess_exec(*self._command, *file, stdin=PIPE)
            except OSError as error:  # no memory or no descriptor: tried again at the next look
                log.error("analysis_process_not_started", reason=type(error).__name__)  # noqa: TRY400
                self._seen = -1
                return
            self._process = process
            log.info("analysis_process_started", pid=process.pid)
        assert process.stdin is not None
        with suppress(ConnectionError):  # it ended: the next order starts another
            process.stdin.write(f"{word}\n".encode())
            await process.stdin.drain()
        self._told = word

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    # -- telling ------------------------------------------------------------------------------

    async def _stats(self, request: web.Request) -> web.Response:
        counted = await self._jobs.stats(whose(request))
        state = {"enabled": self._config.analysis.enabled, "state": self._state(counted)}
        return as_json({**state, **counted})

    def _state(self, counted: Json) -> str:
        if not self._config.analysis.enabled:
            return "off"
        if counted["running"]:
            return "working"
        return "waiting" if counted["waiting"] and not self.may_work else "idle"
