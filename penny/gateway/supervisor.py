"""Several gateway processes behind one port: started, started again, told to drain.

The kernel spreads new connections over all processes that listen on the port, so one core per
process carries calls. A process that dies takes its own calls with it and no others.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from config.schema import Config
from penny.errors import ConfigError
from penny.gateway.sibling_processes import SiblingProcesses


log = structlog.get_logger()

RESTART_AFTER_S = 1.0
STOP_GRACE_S = 15.0
"""Past the drain, for what a process does after it; then it is killed."""

Command = Callable[[int, int, Path], Sequence[str]]
"""The command line of process ``number`` at ``port``, with a folder for its own socket."""


class Supervisor:
    """Starts gateway processes, starts again those that die, and ends all on SIGTERM.

    Args:
        command: see ``Command``.
        processes: how many.
        drain_s: they have to finish on SIGTERM.
    """

    def __init__(self, command: Command, processes: int, drain_s: float) -> None:
        self._command = command
        self._processes = processes
        self._drain_s = drain_s
        self._live: dict[int, Process] = {}
        self._stop = asyncio.Event()
        self._status = 0

    async def run(self, host: str, port: int) -> int:
        """Serve until SIGTERM or SIGINT, then drain; the exit status.

        It is not 0 only when a process could not start at all. Raises OSError when the port
        cannot be had.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        with _reserve(host, port) as reserved, tempfile.TemporaryDirectory(prefix="penny-") as name:
            port = reserved.getsockname()[1]
            keepers = [
                asyncio.create_task(self._keep(place, port, Path(name)), name=f"process {place}")
                for place in range(1, self._processes + 1)
            ]
            await self._stop.wait()
            for process in self._live.values():
                process.terminate()
            _, late = await asyncio.wait(keepers, timeout=self._drain_s + STOP_GRACE_S)
            if late:
                log.error("gateway_processes_killed", processes=sorted(self._live))
                for process in self._live.values():
                    process.kill()
            await asyncio.gather(*keepers)
        return self._status

    async def _keep(self, number: int, port: int, folder: Path) -> None:
        own_socket = SiblingProcesses(folder, number, self._processes).path
        while not self._stop.is_set():
            code = await self._run(self._command(number, port, folder), number)
            if self._stop.is_set():
                return
            if code > 0 and not own_socket.exists():
                # It never listened. It has said why, and would say the same again.
                log.error("gateway_process_did_not_start", process=number, exit_code=code)
                self._status = code
                self._stop.set()
                return
            log.error("gateway_process_died", process=number, exit_code=code)
            with suppress(TimeoutError):
                async with asyncio.timeout(RESTART_AFTER_S):
                    await self._stop.wait()

    async def _run(self, command: Sequence[str], number: int) -> int:
        # The process ends with its stdin: it does not outlive a supervisor that was killed.
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE)
        self._live[number] = process
        if self._stop.is_set():
            process.terminate()
        try:
            return await process.wait()
        finally:
            del self._live[number]


def check_processes(config: Config) -> None:
    """Say once what several processes do not share. Raises ConfigError for what cannot work."""
    if config.runpod.endpoint_id is not None:
        raise ConfigError(
            f"{config.origin.place('gateway.processes')}: a leased worker dials in to one process "
            "and no other finds it; use 1 process, or leave runpod.endpoint_id out",
            key="gateway.processes",
        )
    alone = ["gateway.max_sessions", "the admin page", "a local worker"]
    if config.redis.url is not None:
        log.info("processes_count_alone", processes=config.gateway.processes, own=alone)
        return
    alone += ["limits of keys and tenants", "the list of live calls", "client secrets"]
    log.warning(
        "processes_count_alone",
        processes=config.gateway.processes,
        own=alone,
        remedy="set redis.url to share limits, the list of live calls and client secrets",
    )


def _reserve(host: str, port: int) -> socket.socket:
    """Hold the port without listening, so that its number stays ours. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    reserved = socket.socket(family)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
    except OSError:
        reserved.close()
        raise
    return reserved
