"""One clock for all telephone calls of a process: a slot every 20 ms, on absolute deadlines.

``Grid`` decides and is pure; ``Ticker`` is the thin loop around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from penny.edges.player import FRAME_MS, GRAIN_S


FRAME_S = FRAME_MS / 1000
CATCH_UP = 2
"""Most slots made up for after a stall: what came later than that would be a burst."""

Tick = Callable[[float], None]


@dataclass(slots=True)
class Grid:
    """The grid of slots. ``shifted`` counts stalls that were too long to catch up with."""

    next_s: float = 0.0
    shifted: int = 0

    def begin(self, now_s: float) -> None:
        """The next slot is now."""
        self.next_s = now_s

    def due(self, now_s: float) -> list[float]:
        """The slots that are due, oldest first: three at most, then the grid begins anew."""
        late = int((now_s + GRAIN_S - self.next_s) // FRAME_S)
        if late < 0:
            return []
        if late > CATCH_UP:
            self.shifted += 1
            late = CATCH_UP
            # Over a frame ahead of the old grid: what plays by it takes that for an underrun.
            self.next_s = now_s - late * FRAME_S + GRAIN_S
        slots = [self.next_s + number * FRAME_S for number in range(late + 1)]
        self.next_s += (late + 1) * FRAME_S
        return slots


class Ticker:
    """Gives every call that has joined its slots; without calls no timer runs.

    Args:
        clock: the loop's, seconds.
        on_late: is told how late each wake-up was, in seconds.
    """

    def __init__(
        self, clock: Callable[[], float], on_late: Callable[[float], object] = lambda _late_s: None
    ) -> None:
        self._clock = clock
        self._on_late = on_late
        self._ticks: list[Tick] = []
        self._timer: asyncio.TimerHandle | None = None
        self.grid = Grid()

    @property
    def calls(self) -> int:
        """Calls that have joined."""
        return len(self._ticks)

    def join(self, tick: Tick) -> None:
        """Call ``tick`` with each slot from the next one on. It may not raise."""
        self._ticks.append(tick)
        if self._timer is None:
            self.grid.begin(self._clock())
            self._wake()

    def leave(self, tick: Tick) -> None:
        """Idempotent."""
        self._ticks = [other for other in self._ticks if other != tick]

    def _wake(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self.grid.next_s, self._on_time)

    def _on_time(self) -> None:
        now_s = self._clock()
        self._on_late(max(0.0, now_s - self.grid.next_s))
        for slot_s in self.grid.due(now_s):
            for tick in self._ticks:
                tick(slot_s)
        if self._ticks:
            self._wake()
        else:
            self._timer = None
