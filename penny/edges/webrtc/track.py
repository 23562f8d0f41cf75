"""An audio track as a session has it: what is heard on it, and the clock to play by."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.player import FRAME_MS


log = structlog.get_logger()

Json = dict[str, Any]

FRAME_S = FRAME_MS / 1000
SILENCE = bytes(PCM24K.bytes_of(FRAME_MS))
LATE_S = 0.2
"""A loop that stood still for longer does not send what it missed all at once."""
PAUSED_BYTES = PCM24K.bytes_of(10_000)
"""Caller's audio kept while the speaker is behind; the oldest goes."""


class Voice(Protocol):
    """The tracks of a peer connection, as far as an edge plays on them (``Peer``)."""

    def play(self, pcm24k: bytes, /) -> None: ...

    async def aclose(self) -> None: ...


class TrackEars:
    """A caller's track as ``input_audio_buffer.append``, in pieces of 20 ms or more.

    Paused at first: ``resume`` once there is a session to hear it.

    Args:
        to_session: takes the events.
    """

    def __init__(self, to_session: Callable[[Json], None]) -> None:
        self._to_session = to_session
        self._converter: Converter | None = None
        self._unsent = bytearray()
        self._is_paused = True
        self.total_ms = 0.0

    def hear(self, pcm: bytes, heard: AudioFormat) -> None:
        """Take a piece of the caller's voice."""
        if self._converter is None or self._converter.src != heard:
            self._converter = Converter(heard, PCM24K)
        self._unsent += self._converter.process(pcm)
        if len(self._unsent) > PAUSED_BYTES:
            log.warning("caller_audio_dropped", bytes=len(self._unsent) - PAUSED_BYTES)
            del self._unsent[: len(self._unsent) - PAUSED_BYTES]
        if len(self._unsent) >= len(SILENCE):
            self._send()

    def pause(self) -> None:
        self._is_paused = True

    def hush(self, ms: int) -> None:
        """The last of what waits, paused, turns out to be no voice: it is silence."""
        size = min(len(self._unsent), PCM24K.bytes_of(ms))
        self._unsent[len(self._unsent) - size :] = bytes(size)

    def resume(self) -> None:
        self._is_paused = False
        self._send()

    def _send(self) -> None:
        if self._is_paused or not self._unsent:
            return
        self.total_ms += PCM24K.ms_of(len(self._unsent))
        audio = b64encode(self._unsent).decode()
        self._unsent.clear()
        self._to_session({"type": "input_audio_buffer.append", "audio": audio})


class TrackClock:
    """Asks for a frame every 20 ms, on absolute deadlines, in silence too.

    Args:
        clock: the loop's, seconds.
        send: sends the frame that is due at this moment.
    """

    def __init__(self, clock: Callable[[], float], send: Callable[[float], None]) -> None:
        self._clock = clock
        self._send = send
        self._timer: asyncio.TimerHandle | None = None
        self.next_s = 0.0

    def start(self) -> None:
        self.next_s = self._clock()
        self._tick()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        now_s = self._clock()
        if now_s - self.next_s > LATE_S:
            self.next_s = now_s
        while self.next_s <= now_s:
            self._send(self.next_s)
            self.next_s += FRAME_S
        self._timer = asyncio.get_running_loop().call_at(self.next_s, self._tick)
