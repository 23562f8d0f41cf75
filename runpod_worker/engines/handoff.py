"""Audio from an engine's thread to the loop, bounded, stoppable from both sides."""

from __future__ import annotations

import asyncio
import threading
from collections import deque


class Handoff:
    """Bounded byte queue from a thread to a coroutine.

    One producer thread, one consumer coroutine.

    Bounded by ``capacity_bytes``: a full handoff pauses the producer until the consumer took
    something or closed. After ``close`` every ``put`` returns False, which tells the engine to
    stop.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._loop = asyncio.get_running_loop()
        self._condition = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._ended = False
        self._closed = False
        self._failure: BaseException | None = None
        self._arrived = asyncio.Event()

    def put(self, chunk: bytes) -> bool:
        """From the thread: hand a chunk over; False when its reader has gone."""
        with self._condition:
            while self._held_bytes >= self._capacity_bytes and not self._closed:
                self._condition.wait()
            if self._closed:
                return False
            self._chunks.append(chunk)
            self._held_bytes += len(chunk)
        self._wake()
        return True

    def end(self, failure: BaseException | None = None) -> None:
        """From the thread: no more chunks; ``failure`` is raised to the consumer at the end."""
        with self._condition:
            self._ended, self._failure = True, failure
        self._wake()

    async def take(self) -> bytes | None:
        """From the loop: all that is there now as one chunk, or None at the end."""
        while True:
            with self._condition:
                if self._chunks:
                    data = b"".join(self._chunks)
                    self._chunks.clear()
                    self._held_bytes = 0
                    self._condition.notify()
                    return data
                if self._ended:
                    if self._failure is not None:
                        raise self._failure
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        """From the loop: want no more; a waiting producer is let go."""
        with self._condition:
            self._closed = True
            self._chunks.clear()
            self._held_bytes = 0
            self._condition.notify()

    @property
    def closed(self) -> bool:
        return self._closed

    def _wake(self) -> None:
        # A loop that is closed already has no consumer left to wake.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)
