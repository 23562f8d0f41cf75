"""A slot for one value, where the newest wins: prompt revisions, levels."""

from __future__ import annotations

from typing import Generic, TypeVar

from penny.aio.channel import Channel


T = TypeVar("T")


class Latest(Generic[T]):
    """Holds at most one value; ``put`` replaces one that nobody took (counted in ``replaced``)."""

    def __init__(self) -> None:
        self._slot: Channel[T] = Channel(1, on_full="drop_oldest")

    @property
    def replaced(self) -> int:
        """Values that a newer one overtook."""
        return self._slot.dropped

    def __bool__(self) -> bool:
        """Whether a value waits."""
        return len(self._slot) > 0

    def put(self, value: T) -> None:
        """Offer a value; the newest wins. Raises ChannelClosed."""
        self._slot.try_send(value)

    async def take(self) -> T:
        """Wait for a value and empty the slot. Raises ChannelClosed when closed and empty."""
        return await self._slot.recv()

    def close(self) -> None:
        """No more values; a value inside can still be taken. Idempotent."""
        self._slot.close()

    def __aiter__(self) -> Channel[T]:
        return self._slot
