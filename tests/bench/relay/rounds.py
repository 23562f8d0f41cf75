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

from tests.bench.relay.process import LOAD_CORE, ROOT, SERVER_CORE, free_port, serving
from tests.bench.relay.systems import System


Json = dict[str, Any]

VOID_LAG_MS = 2.0
"""A round whose generator was later than this at p99 says nothing about the server."""
MAX_TRIES = 3


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
            serving((str(system.python), *command), port, SERVER_CORE, folder / "log") as pid,
        ):
            yield f"ws://127.0.0.1:{port}/ws", pid


def load(url: str, pid: int, sessions: int, seconds: float) -> Json:
    """One run of the generator. Raises CalledProcessError with what it wrote."""
    arguments = ("--sessions", str(sessions), "--seconds", str(seconds), "--pid", str(pid))
    done = subprocess.run(
        ("taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "tests.bench.relay.load", url)
        + arguments,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=True,
    )
    seen: Json = json.loads(done.stdout.splitlines()[-1])
    return seen


def measure(system: System, sessions: int, seconds: float) -> Json:
    """One valid round of one system, warmed up by a short call; void ones are repeated.

    The lag limit holds up to 50 sessions; above, the generator's core is busy by design and the
    lag stands beside the figure.
    """
    with system_running(system) as (url, pid):
        load(url, pid, 2, 0.5)
        for tries in range(1, MAX_TRIES + 1):
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
