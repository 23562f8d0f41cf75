"""Real Penny processes on loopback: a gateway, a worker, what they wrote, and how they end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.doubles.moved_clock import OFF_BY


Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
LISTENS = re.compile(rb"listens on https?://[\w.]+:(\d+)")
START_LIMIT_S = 200.0
"""Three processes that start on a busy machine have taken a minute; a test may take five."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PennyProcess:
    """One process; ``log`` is everything it wrote, and those before it in the same file.

    ``port`` is 0 until ``listens`` has read it, where the process chooses its own.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, log: Path, begin: int
    ) -> None:
        self.process = process
        self.port = port
        self._log = log
        self._begin = begin

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    async def listens(self) -> None:
        """Until it has written where."""
        async with asyncio.timeout(START_LIMIT_S):
            while not (told := LISTENS.search(self._log.read_bytes(), self._begin)):
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.05)
        self.port = int(told[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def wait(self) -> int:
        async with asyncio.timeout(START_LIMIT_S):
            return await self.process.wait()

    async def logged(self, words: str) -> None:
        """Until it has written ``words``."""
        async with asyncio.timeout(START_LIMIT_S):
            while words not in self.log:
                assert self.process.returncode is None or words in self.log, self.log
                await asyncio.sleep(0.05)

    async def answers(self, path: str = "/healthz") -> None:
        async with asyncio.timeout(START_LIMIT_S), aiohttp.ClientSession() as http:
            while True:
                assert self.process.returncode is None, self.log
                with suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}{path}") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    folder: Path, name: str, port: int, *arguments: str, **environment: str
) -> AsyncIterator[PennyProcess]:
    """A Python process of ours; killed, frozen or not, when the test is over."""
    async with started(folder, name, port, sys.executable, *arguments, **environment) as process:
        yield process


@asynccontextmanager
async def started(
    folder: Path, name: str, port: int, *command: str, **environment: str
) -> AsyncIterator[PennyProcess]:
    """A process by its command line, as ``running``."""
    log = folder / f"{name}.log"
    with log.open("ab") as out:
        begin = out.tell()
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
        )
    try:
        yield PennyProcess(process, port, log, begin)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


@asynccontextmanager
async def worker_process(
    folder: Path, port: int | None = None, name: str = "worker", **environment: str
) -> AsyncIterator[PennyProcess]:
    arguments = (*_modules(environment), "tests.doubles.fixed_worker", str(port or 0))
    async with running(folder, name, port or 0, *arguments, **environment) as worker:
        await worker.listens()
        await worker.answers()
        yield worker


@asynccontextmanager
async def gateway_process(
    folder: Path,
    endpoint_port: int,
    *,
    name: str = "gateway",
    port: int | None = None,
    environment: dict[str, str] | None = None,
    **sections: Json,
) -> AsyncIterator[PennyProcess]:
    """``python -m penny serve`` before a worker at ``endpoint_port``."""
    endpoint = f"ws://127.0.0.1:{endpoint_port}/v1/realtime"
    config = {
        "penny": {"modes": {"SELF_HOSTED": {"endpoint": endpoint}}},
        "keys": {"file": str(folder / "keys.sqlite")},
        "logs": {"format": "json"},
        "waiting": {"enabled": False},  # see NO_FILLER of engines.py
        **sections,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "kb/documents").mkdir(parents=True, exist_ok=True)  # of its own, and empty
    given = environment or {}
    serve = ("penny", "serve", "--config", str(path), "--port", str(port or 0))
    async with running(folder, name, port or 0, *_modules(given), *serve, **given) as gateway:
        await gateway.listens()
        await gateway.answers()
        yield gateway


async def make_key(folder: Path) -> str:
    """A key, by the command line, for the gateway of ``folder/gateway.yaml``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "penny", "keys", "create", "web", "--config", str(folder / "gateway.yaml")),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode().strip()


def _modules(environment: Mapping[str, str]) -> tuple[str, ...]:
    """How Python is told which module to run: below a clock of the test's, if it has one."""
    return ("-m", "tests.doubles.moved_clock") if OFF_BY in environment else ("-m",)
