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

from penny.aio.alarm import Alarm
from penny.aio.channel import ChannelClosed


Json = dict[str, Any]

AUDIO_EVENTS = 256
"""Five seconds of 20 ms audio."""
CONTROL_EVENTS = 1_024
STALL_S = 1.0


class Inbox:
    """Put by the reader, taken by the session."""

    def __init__(self) -> None:
        self._events: deque[tuple[bool, Json]] = deque()
        """Whether it is audio, and the event."""
        self._audio = 0
        self.filled = Alarm()
        """While it is waited for, nothing that was put before is on its way: whatever comes may be
        handed to the session without the queue."""
        self._taken = asyncio.Event()
        self._closed = False
        self._stalled = False
        self.dropped = 0
        """Audio events that went to make room."""

    async def put_audio(self, event: Json) -> None:
        """Wait for room, or make it. Raises ChannelClosed."""
        while self._audio >= AUDIO_EVENTS and not self._closed:
            if self._stalled or not await self._moves():
                self._stalled = True
                self._drop_audio()
        self.put_next_audio(event)

    def put_next_audio(self, event: Json) -> None:
        """``put_audio`` while somebody waits for it, which finds room. Raises ChannelClosed."""
        self._put(True, event)
        self._audio += 1

    def put(self, event: Json) -> None:
        """Raises ChannelClosed, also when far too much control waits."""
        if len(self._events) - self._audio >= CONTROL_EVENTS:
            self.close()
        self._put(False, event)

    def close(self) -> None:
        """No more events; those inside can still be taken. Idempotent."""
        self._closed = True
        self.filled.set()
        self._taken.set()

    async def __aiter__(self) -> AsyncIterator[Json]:
        while True:
            while not self._events:
                if self._closed:
                    return
                await self.filled.wait()
            self._stalled = False
            if self._audio >= AUDIO_EVENTS:
                self._taken.set()
            is_audio, event = self._events.popleft()
            self._audio -= is_audio
            yield event

    def _put(self, is_audio: bool, event: Json) -> None:
        if self._closed:
            raise ChannelClosed
        self._events.append((is_audio, event))
        self.filled.set()

    def _drop_audio(self) -> None:
        """The oldest audio goes; what control stands before it stays."""
        kinds = [is_audio for is_audio, _ in self._events]
        del self._events[kinds.index(True)]
        self._audio -= 1
        self.dropped += 1

    async def _moves(self) -> bool:
        self._taken.clear()
        try:
            async with asyncio.timeout(STALL_S):
                await self._taken.wait()
        except TimeoutError:
            return False
        return True
