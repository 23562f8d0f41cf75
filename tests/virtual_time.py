"""An event loop whose clock jumps: it advances only when nothing is left to do.

``sleep(600)`` takes no time and always ends at exactly 600. Timers due at the same instant fire in
the order they were set. Loopback sockets and ``asyncio.to_thread`` work inside: while a thread
works the clock stands still. Subprocesses and other hosts need real time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any


SOCKET_GRACE_S = 0.002
"""Real time a jump waits for bytes on their way through loopback …"""
LONG_JUMP_S = 0.05
"""… when it is longer than this: a timeout must not overtake a packet, a 20 ms tick may."""


class FifoTimerHandle(asyncio.TimerHandle):
    """Equal deadlines keep the order in which they were set; a heap alone does not."""

    _order = itertools.count()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.order = next(self._order)

    def __lt__(self, other: Any) -> bool:
        return (self._when, self.order) < (other._when, other.order)


class JumpingSelector(selectors.DefaultSelector):
    """Instead of blocking until a deadline, moves the loop's clock to it."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or self.loop.threads:
            # Nothing is scheduled, or a thread works: only the outside can bring news.
            return super().select(None if timeout != 0 else 0)
        ready = super().select(0)
        if ready or timeout <= 0:
            return ready
        # The loop's own wake-up socket is always registered; any more are the test's.
        if timeout > LONG_JUMP_S and len(self.get_map()) > 1:
            ready = super().select(SOCKET_GRACE_S)
        if not ready:
            self.loop.jump()
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 0.0
        self.threads = 0
        """Calls that an executor has not answered yet."""
        selector = JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        # What the clock's floating point may miss; the default would merge distinct deadlines.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now_s

    def jump(self) -> None:
        """Move the clock to the next deadline, exactly."""
        self.now_s = max(self.now_s, self._scheduled[0].when())

    def call_at(  # type: ignore[override]  # typeshed spells the callback's arguments out
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._check_closed()
        timer = FifoTimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def run_in_executor(  # type: ignore[override]  # as above
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_answered)
        return future

    def _thread_answered(self, future: asyncio.Future[Any]) -> None:
        self.threads -= 1
