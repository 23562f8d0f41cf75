"""Tells of lines whose calls end otherwise than in their own last week: the metric
``penny_call_ends_unusual`` and the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric

from penny.aio.tasks import TaskOwner
from penny.calls.database import StoreUnavailable
from penny.calls.store import CallStore
from penny.figures.ends import SINCE_MS, WINDOWS_MS, Ends, Line, Unusual, find_unusual, read_ends


log = structlog.get_logger()

EVERY_S = 60.0
WEEK_EVERY_MS = 3_600_000
"""How often the week is read anew."""


class EndWatch:
    """The look of one gateway, each minute, at how all calls of its database end.

    Args:
        wall_clock: Unix time in seconds.
        longest_s: of a call: one that ended just now began no earlier.
    """

    def __init__(self, store: CallStore, wall_clock: Callable[[], float], longest_s: float) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._longest_ms = round(longest_s * 1000)
        self._week: Ends = {}
        self._week_at_ms = 0
        self._told: dict[tuple[Line, str], Unusual] = {}
        self._tasks = TaskOwner("end watch")

    def start(self) -> None:
        self._tasks.spawn(self._look_on(), name="end watch")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def collect(self) -> Iterator[Metric]:
        """What is unusual now, as the share of the calls that ended so."""
        about = "Share of a line's calls of the last minutes that ended so, where it is unusual"
        labels = ["tenant", "edge", "line", "reason"]
        family = GaugeMetricFamily("penny_call_ends_unusual", about, labels=labels)
        for (line, reason), each in self._told.items():
            family.add_metric([*line, reason], each.count / each.calls)
        yield family

    async def look(self) -> None:
        """Tell of each once, and when it is over. Raises StoreUnavailable."""
        now_ms = round(self._wall_clock() * 1000)
        longest_ms = max(WINDOWS_MS)
        if now_ms - self._week_at_ms >= WEEK_EVERY_MS:
            until_ms = now_ms - longest_ms
            since_ms = until_ms - SINCE_MS
            self._week = await self._read(since_ms, until_ms)
            self._week_at_ms = now_ms
        windows = {each: await self._read(now_ms - each, now_ms) for each in WINDOWS_MS}
        found = {(each.line, each.reason): each for each in find_unusual(windows, self._week)}
        for key, each in found.items():
            if key not in self._told:
                tenant, edge, line = each.line
                log.error(
                    "call_ends_unusual", tenant=tenant, edge=edge, line=line, reason=each.reason,
                    count=each.count, calls=each.calls, minutes=each.minutes,
                    usual=round(each.usual, 4),
                )  # fmt: skip
        for (tenant, edge, line), reason in self._told.keys() - found.keys():
            log.info("call_ends_usual", tenant=tenant, edge=edge, line=line, reason=reason)
        self._told = found

    async def _read(self, since_ms: int, until_ms: int) -> Ends:
        return await read_ends(
            self._store.database, since_ms, until_ms, since_ms - self._longest_ms
        )

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("call_ends_not_looked_at", reason=error.message)
