"""What a connection still has to hear: audio and marks, in the order the client sent them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable


Mark = Callable[[], None]


class Backlog:
    """Ordered queue of audio chunks and marks (commit, clear) between socket and listener.

    Bounded by audio: past ``limit_bytes`` the oldest *audio* goes and is counted, because a
    worker that is seconds behind answers a question nobody remembers. Marks are never dropped:
    a lost commit would be a lost turn.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._entries: deque[bytes | Mark] = deque()
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._filled = asyncio.Event()
        self._closed = False
        self.dropped_bytes = 0

    def put_audio(self, pcm: bytes) -> None:
        self._entries.append(pcm)
        self._bytes += len(pcm)
        while self._bytes > self._limit_bytes:
            self._drop_oldest_audio()
        self._filled.set()

    def put_mark(self, mark: Mark) -> None:
        self._entries.append(mark)
        self._filled.set()

    def close(self) -> None:
        self._closed = True
        self._filled.set()

    async def entries(self) -> AsyncIterator[bytes | Mark]:
        """Yield entries until closed; what is still queued at the close is not heard."""
        while not self._closed:
            if not self._entries:
                self._filled.clear()
                await self._filled.wait()
                continue
            entry = self._entries.popleft()
            if isinstance(entry, bytes):
                self._bytes -= len(entry)
            yield entry

    def _drop_oldest_audio(self) -> None:
        for index, entry in enumerate(self._entries):
            if isinstance(entry, bytes):
                del self._entries[index]
                self._bytes -= len(entry)
                self.dropped_bytes += len(entry)
                return
