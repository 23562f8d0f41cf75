"""What a connection still has to hear: audio and marks, in the order the client sent them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable


Mark = Callable[[], None]


class Backlog:
    """Ordered queue of audio chunks and marks (commit, clear) between socket and listener.

    Bounded by audio, and it pauses: past ``limit_bytes`` the producer waits in :meth:`room`, so
    that a client that sends a whole recording at once is read no faster than it is heard. Nothing
    is dropped; the bound may be passed by the one message that was being read.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._entries: deque[bytes | Mark] = deque()
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._awaited: set[asyncio.Event] = set()
        self._closed = False

    def put_audio(self, pcm: bytes) -> None:
        self._entries.append(pcm)
        self._bytes += len(pcm)
        if self._bytes > self._limit_bytes and not self._closed:
            self._roomy.clear()
        self._filled.set()

    def put_mark(self, mark: Mark) -> None:
        self._entries.append(mark)
        self._filled.set()

    async def room(self) -> None:
        """Wait until no more than ``limit_bytes`` are left to hear, or the backlog is closed."""
        await self._roomy.wait()

    async def heard(self) -> None:
        """Wait until all that was put before is heard, or the backlog is closed."""
        reached = asyncio.Event()
        self._awaited.add(reached)
        self.put_mark(reached.set)
        if not self._closed:
            await reached.wait()
        self._awaited.discard(reached)

    def close(self) -> None:
        self._closed = True
        for reached in self._awaited:
            reached.set()
        self._filled.set()
        self._roomy.set()

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
                if self._bytes <= self._limit_bytes:
                    self._roomy.set()
            yield entry
