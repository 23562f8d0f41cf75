"""Two systems on one core in the same seconds: the one's cost as a multiple of the other's.

A core that is shared with strangers changes its speed within seconds, by more than what is looked
for. Side by side both systems meet the same speed; each also finds less of itself in the caches
than alone, which is how a busy machine is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from tests.bench.relay.rounds import MAX_TRIES, VOID_LAG_MS, load, system_running
from tests.bench.relay.systems import System


Json = dict[str, Any]


def measure_pair(first: System, second: System, sessions: int, seconds: float) -> Json:
    """One valid round, both with fresh servers and ``sessions`` each; void ones are repeated.

    ``ratio`` is the first's CPU per frame by the second's.
    """
    with (
        system_running(first) as one,
        system_running(second) as other,
        ThreadPoolExecutor(2) as both,
    ):
        for url, pid in (one, other):
            load(url, pid, 2, 0.5)
        tries = 0
        while tries < MAX_TRIES:
            tries += 1
            running = [both.submit(load, *where, sessions, seconds) for where in (one, other)]
            seen = [generator.result() for generator in running]
            if max(figures["lag_p99_ms"] for figures in seen) <= VOID_LAG_MS:
                break
        costs = [figures["cpu_us_per_frame"] for figures in seen]
        return {
            "system": first.name,
            "work": first.work,
            "beside": f"{second.name} {second.work}",
            "sessions": sessions,
            "ratio": costs[0] / costs[1],
            "tries": tries,
            "void": max(figures["lag_p99_ms"] for figures in seen) > VOID_LAG_MS,
            "rounds": seen,
        }


def interleave_pairs(
    pairs: Sequence[tuple[System, System]], sessions: int, seconds: float, rounds: int
) -> Iterator[Json]:
    """Rounds as they come: every pair in turn, again and again."""
    for _ in range(rounds):
        for first, second in pairs:
            yield measure_pair(first, second, sessions, seconds)


def summarise_pairs(pairs: Sequence[Json]) -> list[Json]:
    """Median ratio by who stands beside whom and sessions, with the lowest and the highest."""
    groups: dict[tuple[str, str, str, int], list[Json]] = {}
    for pair in pairs:
        key = (pair["system"], pair["work"], pair["beside"], pair["sessions"])
        groups.setdefault(key, []).append(pair)
    rows = []
    for (name, work, beside, sessions), members in groups.items():
        ratios = [pair["ratio"] for pair in members]
        costs = [[figures["cpu_us_per_frame"] for figures in pair["rounds"]] for pair in members]
        rows.append(
            {
                "system": name,
                "work": work,
                "beside": beside,
                "sessions": sessions,
                "ratio": median(ratios),
                "ratio_spread": (min(ratios), max(ratios)),
                "cpu_us_per_frame": [median(column) for column in zip(*costs, strict=True)],
                "rounds": len(members),
                "void": sum(pair["void"] for pair in members),
            }
        )
    return rows
