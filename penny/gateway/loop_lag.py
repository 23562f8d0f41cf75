"""How late the event loop runs: the first sign that something blocks every call at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog


log = structlog.get_logger()

PERIOD_S = 0.1
ALARM_S = 0.2
"""Ten frames of audio: what a jitter buffer no longer hides."""
ALARM_EVERY_S = 10.0


class LoopLag:
    """Measures how late the event loop runs a timer, and logs when that is audible.

    Args:
        record: takes each measurement, seconds.
        clock: the loop's clock, seconds.
    """

    def __init__(self, record: Callable[[float], object], clock: Callable[[], float]) -> None:
        self._record = record
        self._clock = clock
        self._alarmed_s = float("-inf")
        self.worst_s = 0.0
        self.last_s = 0.0

    async def watch(self) -> None:
        """Measure for as long as the gateway lives; one log line per alarm, not per tick."""
        while True:
            due_s = self._clock() + PERIOD_S
            await asyncio.sleep(PERIOD_S)
            now_s = self._clock()
            self.last_s = max(0.0, now_s - due_s)
            self.worst_s = max(self.worst_s, self.last_s)
            self._record(self.last_s)
            if self.last_s >= ALARM_S and now_s - self._alarmed_s >= ALARM_EVERY_S:
                self._alarmed_s = now_s
                log.warning("event_loop_late", lag_s=round(self.last_s, 3))
