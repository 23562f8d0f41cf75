"""What a caller said and the speaker has not taken yet: bounded, and control never waits for audio.

While the speaker keeps up, everything passes in order. When ``AUDIO_EVENTS`` wait, the reader
pauses and TCP holds the client back. When nothing has moved for ``STALL_S`` the speaker is
frozen: from then on the oldest waiting audio goes to make room and is counted, so that an
interruption or a goodbye still arrives. Control is never dropped; beyond ``CONTROL_EVENTS`` of it
the caller's stream ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from penny.aio.channel import ChannelClosed


Json = dict[str, Any]

AUDIO_EVENTS = 256
"""Five seconds of 20 ms audio."""
CONTROL_EVENTS = 1_024
STALL_S = 1.0


class Inbox:
    """Put by the reader, taken by the session."""

    def __init__(self) -> None:
        self._audio: deque[tuple[int, Json]] = deque()
        self._control: deque[tuple[int, Json]] = deque()
        self._count = 0
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._closed = False
        self._stalled = False
        self.dropped = 0
        """Audio events that went to make room."""

    async def put_audio(self, event: Json) -> None:
        """Wait for room, or make it. Raises ChannelClosed."""
        while len(self._audio) >= AUDIO_EVENTS and not self._closed:
            if self._stalled or not await self._moves():
                self._stalled = True
                self._audio.popleft()
                self.dropped += 1
        self._put(self._audio, event)

    def put(self, event: Json) -> None:
        """Raises ChannelClosed, also when far too much control waits."""
        if len(self._control) >= CONTROL_EVENTS:
            self.close()
        self._put(self._control, event)

    def close(self) -> None:
        """No more events; those inside can still be taken. Idempotent."""
        self._closed = True
        self._filled.set()
        self._taken.set()

    async def __aiter__(self) -> AsyncIterator[Json]:
        while True:
            while not (self._audio or self._control):
                if self._closed:
                    return
                self._filled.clear()
                await self._filled.wait()
            self._stalled = False
            self._taken.set()
            yield self._next()

    def _put(self, queue: deque[tuple[int, Json]], event: Json) -> None:
        if self._closed:
            raise ChannelClosed
        self._count += 1
        queue.append((self._count, event))
        self._filled.set()

    def _next(self) -> Json:
        """The oldest of both: order holds between audio and control."""
        if not self._control or (self._audio and self._audio[0][0] < self._control[0][0]):
            return self._audio.popleft()[1]
        return self._control.popleft()[1]

    async def _moves(self) -> bool:
        self._taken.clear()
        try:
            async with asyncio.timeout(STALL_S):
                await self._taken.wait()
        except TimeoutError:
            return False
        return True
