"""A bounded queue that can be closed: what goes between two tasks."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, Literal, TypeVar


T = TypeVar("T")
OnFull = Literal["pause", "drop_oldest"]


class ChannelClosed(Exception):
    """The channel was closed: nothing can be sent, or nothing is left to receive."""


class Channel(Generic[T]):
    """First in, first out, at most ``capacity`` values.

    When full, ``pause`` makes ``send`` wait for room and ``drop_oldest`` throws the oldest value
    away and counts it in ``dropped``. After ``close`` receivers still get what is inside.

    Raises ValueError when ``capacity`` < 1.
    """

    def __init__(self, capacity: int, on_full: OnFull = "pause") -> None:
        if capacity < 1:
            raise ValueError(f"capacity: {capacity} is too small; use 1 or more")
        self.capacity = capacity
        self.on_full: OnFull = on_full
        self.dropped = 0
        """Values thrown away so far (``drop_oldest`` only)."""
        self._values: deque[T] = deque()
        self._closed = False
        # Lists, because few ever wait, and an empty deque takes ten times the memory of one.
        self._senders: list[asyncio.Future[None]] = []
        self._receivers: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._values)

    @property
    def closed(self) -> bool:
        return self._closed

    def try_send(self, value: T) -> bool:
        """Send without waiting; False when full and pausing. Raises ChannelClosed."""
        if self._closed:
            raise ChannelClosed
        if len(self._values) >= self.capacity:
            if self.on_full == "pause":
                return False
            self._values.popleft()
            self.dropped += 1
        self._values.append(value)
        _wake(self._receivers)
        return True

    async def send(self, value: T) -> None:
        """Send, waiting for room when pausing. Raises ChannelClosed, also while it waits."""
        while not self.try_send(value):
            await _sleep_in(self._senders)

    async def recv(self) -> T:
        """The oldest value, waiting for one. Raises ChannelClosed when closed and empty."""
        while not self._values:
            if self._closed:
                raise ChannelClosed
            await _sleep_in(self._receivers)
        value = self._values.popleft()
        _wake(self._senders)
        return value

    def close(self) -> None:
        """No more values. Wakes everyone who waits. Idempotent."""
        self._closed = True
        for waiters in (self._senders, self._receivers):
            while waiters:
                _wake(waiters)

    def __aiter__(self) -> Channel[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.recv()
        except ChannelClosed:
            raise StopAsyncIteration from None


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    """Wake the first who still waits."""
    while waiters:
        waiter = waiters.pop(0)
        if not waiter.done():
            waiter.set_result(None)
            return


async def _sleep_in(waiters: list[asyncio.Future[None]]) -> None:
    waiter = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        # Woken and cancelled at once: the turn goes to the next, or it would be lost.
        if waiter.done() and not waiter.cancelled():
            _wake(waiters)
        raise
