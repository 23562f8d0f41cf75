"""One worker process on loopback: launched, counted while sessions are in it, ended."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog

from config.credentials import ANTHROPIC_API_KEY, OPENAI_API_KEY, RUNPOD_API_KEY, WORKER_TOKEN


log = structlog.get_logger()

Json = dict[str, Any]

STOP_TIMEOUT_S = 5.0
VENDOR_KEYS = frozenset({OPENAI_API_KEY, ANTHROPIC_API_KEY, RUNPOD_API_KEY})


class WorkerProcess:
    """A child that announces its port on stdout when its engines are loaded, and ends with stdin.

    So a killed gateway leaves no worker behind.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._sessions = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.url = ""
        self.info: Json = {}

    @classmethod
    async def start(cls, command: Sequence[str], token: str) -> WorkerProcess:
        """Raises OSError when there is nothing to run."""
        # The vendors' keys are no business of a private worker.
        mine = {name: v for name, v in os.environ.items() if name not in VENDOR_KEYS}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env={**mine, WORKER_TOKEN: token}
        )
        return cls(process)

    async def announced(self, timeout_s: float) -> None:
        """Wait for the port. Raises TimeoutError, and ValueError for a worker that ended."""
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self._process.stdout.readline()
        if not line:
            raise ValueError("it ended while loading its engines; its own log says why")
        told = json.loads(line)
        self.url = f"ws://127.0.0.1:{told['port']}/v1/realtime"
        self.info = told["info"]
        log.info("worker_ready", port=told["port"], pid=self._process.pid)

    @property
    def pid(self) -> int | None:
        """None when it has ended."""
        return self._process.pid if self._process.returncode is None else None

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        return await self._process.wait()

    def enter(self) -> None:
        """A session begins in it."""
        self._sessions += 1
        self._idle.clear()

    async def leave(self) -> None:
        """That session is over."""
        self._sessions -= 1
        if self._sessions <= 0:
            self._idle.set()

    async def retire(self) -> None:
        """Stop it when its last session is over."""
        await self._idle.wait()
        await self.stop()

    async def stop(self) -> None:
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            log.warning("worker_killed", pid=self._process.pid)
            self._process.kill()
            await self._process.wait()
