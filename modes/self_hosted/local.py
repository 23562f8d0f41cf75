"""A worker process of our own on loopback, kept running.

The worker is always its own process: inference can never stall the gateway's audio.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import stamina
import structlog

from config.worker import EMBEDDED, NATURAL
from modes.self_hosted.natural import NaturalProfile
from modes.self_hosted.source import Place, dial_worker
from modes.self_hosted.worker_process import WorkerProcess
from penny.aio.allow_list import AllowList
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable, PennyError
from penny.localized import Localized
from penny.session.mode import Availability, Hearing, SessionSpec, WorkerState


log = structlog.get_logger()

Json = dict[str, Any]

RESTART_PAUSE_S = 0.2
LOADING = Localized(
    en="the worker is loading its engines", es="la máquina está cargando sus motores"
)
TAKES_A_MOMENT = Localized(en="it takes a moment", es="tarda un momento")
SEE_LOG = Localized(
    en="see the log; `python -m penny check` helps",
    es="mire el registro; `python -m penny check` ayuda",
)
WORKER_COMMAND = (sys.executable, "-m", "penny", "worker")
_NOT_STARTED = (OSError, TimeoutError, ValueError)


class LocalWorker:
    """Starts ``python -m penny worker`` on a free loopback port and keeps one running.

    A dead worker is started again with growing delays; meanwhile the mode is unavailable and says
    so. With ``natural``, the embedded engines answer until the natural ones are loaded in a second
    process: new sessions go there, and the first process ends with its last session.

    Args:
        natural: the profile to end up with; None leaves the choice to the configuration.
    """

    def __init__(
        self,
        hosts: AllowList | None,
        config_path: Path | None,
        *,
        start_timeout_s: float,
        natural: NaturalProfile | None = None,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._hosts = hosts
        self._command = tuple(command)
        self._config_path = config_path
        self._start_timeout_s = start_timeout_s
        self._natural = natural
        self._token = secrets.token_urlsafe(24)
        self._worker: WorkerProcess | None = None
        self._reason: str = Localized(
            en="the worker has not been started", es="la máquina no se ha arrancado"
        )
        self._tasks = TaskOwner("local worker")
        self._ready = asyncio.Event()
        self._settled = asyncio.Event()
        self.profile = ""
        """Of ``--profile``; '' leaves it to the configuration."""

    def availability(self) -> Availability:
        if not self._url:
            remedy = TAKES_A_MOMENT if self._reason == LOADING else SEE_LOG
            return Availability(False, self._reason, remedy)
        notice: dict[str, str] = {}
        for engine in self._info.get("engines", {}).values():
            for language, text in engine.get("notice", {}).items():
                notice[language] = f"{notice.get(language, '')} {text}".strip()
        ears = self._info.get("engines", {}).get("stt")
        hears = Hearing(tuple(ears["languages"]), tuple(ears["closed_set"])) if ears else None
        return Availability(True, notice=notice, hears=hears)

    def workers(self) -> list[WorkerState]:
        if self._url:
            return [WorkerState(f"pid {self.pid}", "ready")]
        state = "starting" if self.pid is not None else "down"
        return [WorkerState("local worker", state, self._reason)]

    def describe_engines(self) -> str:
        """Which profile runs and why, in a line; '' where the configuration names it."""
        if self._natural is None:
            return ""
        if self.profile == NATURAL:
            return f"natural ({self._natural.machine}): {self._natural.weights.license}"
        if self._natural.refusal:
            return f"embedded, not natural: {self._natural.refusal}"
        return (
            f"embedded while natural loads ({self._natural.machine}): {self._natural.describe()} "
            "(`make run LIGHT=1` stays without)"
        )

    async def start(self) -> None:
        """Start the worker and wait until it is ready or clearly is not."""
        if self._natural is not None:
            wanted = not self._natural.refusal
            here = wanted and await self._natural.is_here()
            self.profile = NATURAL if here else EMBEDDED
            if wanted and not here:
                self._tasks.spawn(self._improve(self._natural), name="natural profile")
        self._tasks.spawn(self._keep(), name="worker keeper")
        await self._settled.wait()

    @property
    def pid(self) -> int | None:
        """The running worker's process."""
        return self._worker.pid if self._worker is not None else None

    async def acquire(self, spec: SessionSpec) -> Place:
        if not self._url:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._start_timeout_s):
                    await self._ready.wait()
        worker = self._worker
        if worker is None or not worker.url:
            raise ModeUnavailable(self._reason, remedy="try again in a moment", retryable=True)
        headers = {"Authorization": f"Bearer {self._token}"}
        connection = await dial_worker(worker.url, headers, spec, self._hosts)
        worker.enter()
        return Place(connection, worker.info, worker.leave)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        if self._worker is not None:
            await self._worker.stop()

    @property
    def _url(self) -> str:
        return self._worker.url if self._worker is not None else ""

    @property
    def _info(self) -> Json:
        return self._worker.info if self._worker is not None else {}

    # -- keeping one alive --------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            async for attempt in stamina.retry_context(
                on=_NOT_STARTED, attempts=None, timeout=None, wait_initial=0.2, wait_max=15.0
            ):
                with attempt:
                    await self._start_process()
            code = await self._last_end()
            await self._lose(
                Localized(
                    en=f"the worker ended with exit code {code}",
                    es=f"la máquina terminó con el código {code}",
                )
            )
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _start_process(self) -> None:
        if self._worker is not None:
            return
        try:
            await self._launch()
        except _NOT_STARTED as error:
            fault = str(error) or type(error).__name__
            if self.profile == NATURAL:
                self._fall_back(fault)
            await self._lose(
                Localized(
                    en=f"the worker did not start: {fault}", es=f"la máquina no arrancó ({fault})"
                )
            )
            raise

    async def _launch(self) -> None:
        self._reason = LOADING
        worker = await WorkerProcess.start(self._arguments(self.profile), self._token)
        self._worker = worker
        try:
            await worker.announced(self._start_timeout_s)
        except _NOT_STARTED:
            if self._worker is worker:
                raise
        self._ready.set()
        self._settled.set()

    async def _last_end(self) -> int:
        """Wait until the worker that has the sessions ends; one that gave them up may."""
        while True:
            worker = self._worker
            assert worker is not None
            code = await worker.ended()
            if worker is self._worker:
                return code

    def _arguments(self, profile: str) -> list[str]:
        arguments = [*self._command, "--host", "127.0.0.1", "--port", "0", "--announce"]
        if self._config_path is not None:
            arguments += ["--config", str(self._config_path)]
        return [*arguments, "--profile", profile] if profile else arguments

    async def _lose(self, reason: str) -> None:
        log.error("worker_lost", reason=reason)
        self._reason = reason
        self._ready.clear()
        self._settled.set()
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()

    # -- from the embedded engines to the natural ones ----------------------------------------

    async def _improve(self, natural: NaturalProfile) -> None:
        await self._settled.wait()  # whoever calls now is answered first
        try:
            await natural.bring()
        except PennyError as error:
            log.warning("natural_unavailable", reason=error.message, instead=EMBEDDED)
            return
        await self._ready.wait()
        better: WorkerProcess | None = None
        try:
            better = await WorkerProcess.start(self._arguments(NATURAL), self._token)
            await better.announced(self._start_timeout_s)
        except BaseException as error:
            if better is not None:
                await better.stop()
            if not isinstance(error, _NOT_STARTED):
                raise
            self._fall_back(str(error) or type(error).__name__)
            return
        first, self._worker, self.profile = self._worker, better, NATURAL
        self._ready.set()
        log.info("natural_ready", licence=natural.weights.license)
        if first is not None:
            try:
                await first.retire()
            finally:
                await first.stop()

    def _fall_back(self, reason: str) -> None:
        self.profile = EMBEDDED
        log.warning("natural_unavailable", reason=reason, instead=EMBEDDED)
