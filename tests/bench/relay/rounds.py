"""Rounds: every system in turn, again and again, so that the machine's moods hit all alike."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.relay.process import (
    LOAD_CORE,
    ROOT,
    SERVER_CORE,
    NotStarted,
    free_port,
    serving,
)
from tests.bench.relay.systems import System


Json = dict[str, Any]

VOID_LAG_MS = 2.0
"""A round whose generator was later than this at p99 says nothing about the server."""
MAX_TRIES = 3
LIMIT_S = 900
LATE_MS = 20.0
"""A frame as late as the next one is due makes a gap."""


@contextmanager
def system_running(system: System) -> Iterator[tuple[str, int]]:
    """The system behind an upstream of its own: URL and pid."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream_port, port = free_port(), free_port()
        upstream = (sys.executable, "-m", "tests.bench.relay.upstream", str(upstream_port))
        command = system.command(port, f"ws://127.0.0.1:{upstream_port}/v1/realtime", folder)
        with (
            serving(upstream, upstream_port, LOAD_CORE, folder / "upstream.log"),
            serving(
                (str(system.python), *command),
                port,
                SERVER_CORE,
                folder / "log",
                root=system.root,
            ) as pid,
        ):
            yield f"ws://127.0.0.1:{port}{system.path}", pid


def generate(module: str, url: str, pid: int, **options: float) -> Json:
    """One run of a generator; its last line. Raises CalledProcessError with what it wrote."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", f"tests.bench.relay.{module}"]
    command += [url, "--pid", str(pid)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=True
    )
    seen: Json = json.loads(done.stdout.splitlines()[-1])
    return seen


def load(url: str, pid: int, sessions: int, seconds: float) -> Json:
    return generate("load", url, pid, sessions=sessions, seconds=seconds)


def measure(system: System, sessions: int, seconds: float) -> Json:
    """One valid round of one system, warmed up by a short call; void ones are repeated."""
    with system_running(system) as (url, pid):
        load(url, pid, 2, 0.5)
        tries = 0
        while tries < MAX_TRIES:
            tries += 1
            seen = load(url, pid, sessions, seconds)
            if seen["lag_p99_ms"] <= VOID_LAG_MS:
                break
        return {"system": system.name, "work": system.work, "tries": tries, **seen}


def interleave(
    systems: Sequence[System], sessions: int, seconds: float, rounds: int
) -> Iterator[Json]:
    """Rounds as they come: A B C, A B C, …"""
    for number in range(rounds):
        for system in systems:
            yield {"round": number, **measure(system, sessions, seconds)}


def find_capacity(system: System, counts: Sequence[int], seconds: float) -> Json:
    """The largest number of sessions at which p99 of the frames stays under ``LATE_MS``.

    ``limited_by`` is ``generator`` where that was late itself before the server was.
    """
    points: list[Json] = []
    limit = "counts"
    with system_running(system) as (url, pid):
        load(url, pid, 2, 0.5)
        for sessions in counts:
            try:
                seen = load(url, pid, sessions, seconds)
            except subprocess.CalledProcessError:
                limit = "server"  # it did not take so many sessions; its log told why
                break
            if seen["lag_p99_ms"] > LATE_MS / 2:
                limit = "generator"
                break
            points.append(seen)
            if not seen["p99_ms"] < LATE_MS or seen["failed"]:
                limit = "server"
                break
    carried = [seen for seen in points if seen["p99_ms"] < LATE_MS and not seen["failed"]]
    largest = max((seen["sessions"] for seen in carried), default=0)
    return {
        "system": system.name,
        "work": system.work,
        "sessions": largest,
        "limited_by": limit,
        "points": points,
    }


def measure_trouble(system: System, kind: str, sessions: int, seconds: float) -> tuple[Json, Json]:
    """The same callers without and with one who gives trouble."""
    with system_running(system) as (url, pid):
        load(url, pid, 2, 0.5)
        calm = load(url, pid, sessions, seconds)
        command = ("taskset", "-c", str(LOAD_CORE), sys.executable)
        maker = subprocess.Popen((*command, "-m", "tests.bench.relay.trouble", url, kind), cwd=ROOT)
        try:
            troubled = load(url, pid, sessions, seconds)
            if maker.poll() is not None:
                raise NotStarted(f"the {kind} caller ended by itself")
        finally:
            maker.terminate()
            maker.wait()
    return calm, troubled


def summarise(rounds: Sequence[Json]) -> list[Json]:
    """Medians by system and sessions, with the lowest and the highest beside them."""
    groups: dict[tuple[str, str, int], list[Json]] = {}
    for seen in rounds:
        groups.setdefault((seen["system"], seen["work"], seen["sessions"]), []).append(seen)
    rows = []
    for (name, work, sessions), members in groups.items():
        row: Json = {"system": name, "work": work, "sessions": sessions, "rounds": len(members)}
        row["void"] = sum(seen["lag_p99_ms"] > VOID_LAG_MS for seen in members)
        for figure in FIGURES:
            values = [seen[figure] for seen in members]
            row[figure] = median(values)
            row[f"{figure}_spread"] = (min(values), max(values))
        rows.append(row)
    return rows


FIGURES = (
    "cpu_us_per_frame",
    "cpu_share",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "kb_per_session",
    "lag_p99_ms",
)
