"""A worker process of our own on loopback, kept running.

The worker is always its own process: inference can never stall the gateway's audio.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from config.credentials import ANTHROPIC_API_KEY, OPENAI_API_KEY, RUNPOD_API_KEY, WORKER_TOKEN
from modes.self_hosted.source import Place, dial
from penny.errors import ModeUnavailable
from penny.session.mode import Availability, SessionSpec, WorkerState


log = structlog.get_logger()

Json = dict[str, Any]

RESTART_DELAYS_S = (0.2, 1.0, 5.0, 15.0)
STOP_TIMEOUT_S = 5.0
VENDOR_KEYS = frozenset({OPENAI_API_KEY, ANTHROPIC_API_KEY, RUNPOD_API_KEY})
WORKER_COMMAND = (sys.executable, "-m", "penny", "worker")


class LocalWorker:
    """Starts ``python -m penny worker`` on a free loopback port and keeps one running.

    The child announces its port on stdout when its engines are loaded, and ends when its stdin
    does, so a killed gateway leaves no worker behind. A dead worker is started again with growing
    delays; meanwhile the mode is unavailable and says so.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        config_path: Path | None,
        *,
        start_timeout_s: float,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._http = http
        self._command = tuple(command)
        self._config_path = config_path
        self._start_timeout_s = start_timeout_s
        self._token = secrets.token_urlsafe(24)
        self._process: Process | None = None
        self._url = ""
        self._info: Json = {}
        self._reason = "the worker has not been started"
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._settled = asyncio.Event()

    def availability(self) -> Availability:
        if not self._url:
            return Availability(False, self._reason, "see the log; `python -m penny check` helps")
        notice: dict[str, str] = {}
        for engine in self._info.get("engines", {}).values():
            for language, text in engine.get("notice", {}).items():
                notice[language] = f"{notice.get(language, '')} {text}".strip()
        return Availability(True, notice=notice)

    def workers(self) -> list[WorkerState]:
        if self._url:
            return [WorkerState(f"pid {self.pid}", "ready")]
        state = "starting" if self.pid is not None else "down"
        return [WorkerState("local worker", state, self._reason)]

    async def start(self) -> None:
        """Start the worker and wait until it is ready or clearly is not."""
        self._keeper = asyncio.create_task(self._keep(), name="worker keeper")
        await self._settled.wait()

    @property
    def pid(self) -> int | None:
        """The running worker's process."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def acquire(self, spec: SessionSpec) -> Place:
        if not self._url:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._start_timeout_s):
                    await self._ready.wait()
        if not self._url:
            raise ModeUnavailable(self._reason, remedy="try again in a moment", retryable=True)
        headers = {"Authorization": f"Bearer {self._token}"}
        return Place(await dial(self._http, self._url, headers, spec), self._info)

    async def aclose(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._stop()

    # -- keeping one alive --------------------------------------------------------------------

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                await self._launch()
                failures = 0
                assert self._process is not None
                code = await self._process.wait()
                self._lose(f"the worker ended with exit code {code}")
            except (OSError, TimeoutError, ValueError) as error:
                self._lose(f"the worker did not start: {str(error) or type(error).__name__}")
                await self._stop()
            delay_s = RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)]
            failures += 1
            log.error("worker_lost", reason=self._reason, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)

    async def _launch(self) -> None:
        self._reason = "the worker is loading its engines"
        arguments = [*self._command, "--host", "127.0.0.1", "--port", "0", "--announce"]
        if self._config_path is not None:
            arguments += ["--config", str(self._config_path)]

        # The vendors' keys are no business of a private worker.
        mine = {name: v for name, v in os.environ.items() if name not in VENDOR_KEYS}
        environment = {**mine, WORKER_TOKEN: self._token}
        self._process = await asyncio.create_subprocess_exec(
            *arguments, stdin=PIPE, stdout=PIPE, env=environment
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(self._start_timeout_s):
            line = await self._process.stdout.readline()
        if not line:
            raise ValueError("it ended while loading its engines; its own log says why")
        announced = json.loads(line)
        self._url = f"ws://127.0.0.1:{announced['port']}/v1/realtime"
        self._info = announced["info"]
        self._ready.set()
        self._settled.set()
        log.info("worker_ready", port=announced["port"], pid=self._process.pid)

    def _lose(self, reason: str) -> None:
        self._reason = reason
        self._url = ""
        self._ready.clear()
        self._settled.set()

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            log.warning("worker_killed", pid=process.pid)
            process.kill()
            await process.wait()
