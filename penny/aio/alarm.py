"""Wakes the one task that waits, when something happened or when it is time: a writer's bell."""

from __future__ import annotations

import asyncio


class Alarm:
    """For one waiter. A timer once set is kept across waits, because making and cancelling one
    per audio frame costs more than the wake-up too many that it may cause: the waiter looks
    again at what there is to do, and waits again.
    """

    def __init__(self) -> None:
        self.is_waited_for = False
        """Whether the waiter waits, and nothing has happened that it does not know of."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at_s = 0.0

    def set(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        self._is_set = True
        self.is_waited_for = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, until_s: float | None = None) -> None:
        """Return after ``set`` or at ``until_s`` (the loop's clock), now and then earlier."""
        if self._loop is None:
            # Kept, because Python 3.11 asks the kernel who it is every time it is asked for.
            self._loop = asyncio.get_running_loop()
        if until_s is not None:
            self.ring_at(until_s)
        if not self._is_set:
            self._waiter = self._loop.create_future()
            self.is_waited_for = True
            try:
                await self._waiter
            finally:
                self.is_waited_for = False
        self._is_set = False

    def ring_at(self, at_s: float) -> None:
        """Wake the waiter at ``at_s``, or sooner where that was asked for before."""
        if self._timer is not None:
            if self._rings_at_s <= at_s:
                return
            self._timer.cancel()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._rings_at_s = at_s
        self._timer = self._loop.call_at(at_s, self._ring)

    def close(self) -> None:
        """Give the timer back. Idempotent; the alarm may be used again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self.set()
