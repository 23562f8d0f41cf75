"""The newest audio of a conversation, by item, for clients that retrieve it. Bounded."""

from __future__ import annotations

from collections import OrderedDict

from penny.realtime.speech import BYTES_PER_MS


class KeptAudio:
    """Audio in the core's format. Past the limit the oldest item loses its own.

    Args:
        limit_ms: of all items together, and of what was heard and is no item yet; 0 keeps none.
    """

    def __init__(self, limit_ms: int) -> None:
        self._limit = limit_ms * BYTES_PER_MS
        self._heard = bytearray()
        self._heard_from = 0
        self._items: OrderedDict[str, bytearray] = OrderedDict()
        self._kept = 0

    def hear(self, pcm: bytes) -> None:
        """Take the caller's audio as it comes."""
        if not self._limit:
            return
        self._heard += pcm
        if len(self._heard) > self._limit:
            cut = len(self._heard) - self._limit
            del self._heard[:cut]
            self._heard_from += cut

    def commit(self, item_id: str, start_ms: int, end_ms: int) -> None:
        """What was heard in that span of the input audio clock is an item's."""
        start, end = (max(0, ms * BYTES_PER_MS - self._heard_from) for ms in (start_ms, end_ms))
        self.add(item_id, self._heard[start:end])

    def add(self, item_id: str, pcm: bytes | bytearray) -> None:
        """More of an item's audio."""
        if not (self._limit and pcm):
            return
        self._items.setdefault(item_id, bytearray()).extend(pcm)
        self._kept += len(pcm)
        while self._kept > self._limit:
            _, dropped = self._items.popitem(last=False)
            self._kept -= len(dropped)

    def drop(self, item_id: str) -> None:
        self._kept -= len(self._items.pop(item_id, b""))

    def find(self, item_id: str) -> bytes:
        """All of an item's audio; nothing where it was not kept."""
        return bytes(self._items.get(item_id, b""))
