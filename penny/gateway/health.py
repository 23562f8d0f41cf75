"""What tells early that a gateway's process fails its calls: a late event loop, no descriptor left.

With its descriptors used up the event loop's library closes each new connection without a word,
so that nothing tells of it: a descriptor is asked for every second.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Callable

import structlog


log = structlog.get_logger()

LAG_PERIOD_S = 0.1
ALARM_S = 0.2
"""Ten frames of audio: what a jitter buffer no longer hides."""
ALARM_EVERY_S = 10.0
DESCRIPTOR_PERIOD_S = 1.0
_USED_UP = (errno.EMFILE, errno.ENFILE)


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

    async def watch(self) -> None:
        """Measure for as long as the gateway lives; one log line per alarm, not per tick."""
        while True:
            due_s = self._clock() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            now_s = self._clock()
            lag_s = max(0.0, now_s - due_s)
            self._record(lag_s)
            if lag_s >= ALARM_S and now_s - self._alarmed_s >= ALARM_EVERY_S:
                self._alarmed_s = now_s
                log.warning("event_loop_late", lag_s=round(lag_s, 3))


class DescriptorWatch:
    """Notes when no file descriptor is left, and logs it once until one is free again."""

    def __init__(self) -> None:
        self._is_used_up = False

    async def watch(self) -> None:
        """Look for as long as the gateway lives."""
        while True:
            self.look()
            await asyncio.sleep(DESCRIPTOR_PERIOD_S)

    def look(self) -> None:
        """Ask for a descriptor and give it back."""
        try:
            os.close(os.dup(2))
        except OSError as error:
            if error.errno in _USED_UP and not self._is_used_up:
                self._is_used_up = True
                limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
                log.error("descriptors_used_up", limit=limit, remedy="raise it with ulimit -n")  # noqa: TRY400
            return
        if self._is_used_up:
            self._is_used_up = False
            log.info("descriptors_free_again")

    def fault(self) -> str:
        """Why new callers are not heard, or ''."""
        return "no file descriptor is left: new callers are closed" if self._is_used_up else ""
