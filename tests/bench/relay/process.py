"""Server processes of a bench: started on one core, waited for, weighed, ended."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


ROOT = Path(__file__).parents[3]
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
LOAD_CORE = CORES[-1]
"""Load and upstream share the other core, so that neither takes time from the server."""


class NotStarted(Exception):
    """A server ended or did not listen in time; the text is the end of what it wrote."""


@contextmanager
def serving(
    command: Sequence[str],
    port: int,
    core: int,
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    root: Path = ROOT,
    limit_s: float = 60.0,
) -> Iterator[int]:
    """Run ``command`` pinned to ``core`` until the block ends; its pid, once ``port`` answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=root,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(process, port, log, limit_s)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path, limit_s: float) -> None:
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise NotStarted(_tail(log))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise NotStarted(f"nothing listens on {port}: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-800:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """The process and everything it started."""
    found = [pid]
    for member in found:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            found.extend(int(child) for child in _read(children).split())
    return found


def cpu_s(pid: int) -> float:
    """Seconds that the process tree ran so far; the kernel counts nanoseconds."""
    runs = [
        _read(path)
        for member in tree(pid)
        for path in Path(f"/proc/{member}/task").glob("*/schedstat")
    ]
    return sum(int(run.split()[0]) for run in runs if run) / 1e9


def rss_kb(pid: int) -> int:
    """Resident memory of the process tree."""
    lines = [line for member in tree(pid) for line in _read(f"/proc/{member}/status").splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _read(path: Path | str) -> str:
    """Empty when the process or thread is gone meanwhile."""
    try:
        return Path(path).read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return ""
