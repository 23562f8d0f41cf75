"""AudioSocket: a call of Asterisk's over TCP, as its application and its channel speak it.

A frame is a kind, a length of two bytes (big endian) and so much payload. Asterisk passes on at
once what it gets, keeps nothing and can drop nothing; it ends a call that is sent nothing for two
seconds, and one that is sent a key, an error or an empty frame.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import cast
from uuid import UUID

import structlog

from penny.audio.resample import Resampler
from penny.edges.asterisk.announced import Places
from penny.edges.asterisk.wire import FRAME_BYTES, LINE, AsteriskWire
from penny.edges.telephone.edge import PhoneEdge


log = structlog.get_logger()

HANG_UP, ID, KEY, AUDIO, ERROR = 0x00, 0x01, 0x03, 0x10, 0xFF
RATES_HZ = {
    AUDIO: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
}
"""Kinds of audio, PCM16 little endian (``res_audiosocket``; all but the first from 20.17, 22.7)."""
SILENCE = struct.pack(">BH", AUDIO, FRAME_BYTES) + bytes(FRAME_BYTES)
HEADER = struct.Struct(">BH")
ID_WITHIN_S = 5.0
SEND_LIMIT_S = 3.0
"""Of audio that waits to be sent: a peer that takes none for so long is gone."""
SILENT_S = 40.0
"""A far side may be silent (hold, voice detection): Asterisk itself ends what brought no RTP for
30 s, by the ``rtp_timeout`` that Penny writes."""


AWAY_S = 3.0


class FrameReader:
    """Cuts the stream into (kind, payload). Pure."""

    def __init__(self) -> None:
        self._data = b""

    @property
    def next_kind(self) -> int | None:
        """Of the frame that is not whole yet; None where none has begun."""
        return self._data[0] if self._data else None

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Every frame that is whole now; the rest waits."""
        self._data += data
        at = 0
        while len(self._data) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(self._data, at)
            end = at + HEADER.size + length
            if end > len(self._data):
                break
            yield kind, self._data[at + HEADER.size : end]
            at = end
        self._data = self._data[at:]


def write_audio(pcm: bytes) -> bytes:
    """A frame of audio at 8 000 Hz, in one piece: Asterisk stops over half a frame."""
    return HEADER.pack(AUDIO, len(pcm)) + pcm


class AudioSocketWire(AsteriskWire, asyncio.Protocol):
    """One connection: a ``Wire``, and asyncio's protocol of it.

    Args:
        admit: called once with the id that Asterisk names and this wire; the edge of the call, or
            None for one that was not announced.
        places: who can be rung after the call.
    """

    lead_ms = 0
    tells_played = False
    dead_after_s: float | None = SILENT_S
    """``AWAY_S`` while Asterisk itself is known not to answer."""

    def __init__(
        self, admit: Callable[[UUID, AudioSocketWire], PhoneEdge | None], places: Places
    ) -> None:
        super().__init__(places)
        self._admit = admit
        self._frames = FrameReader()
        self._edge: PhoneEdge | None = None
        self._transport: asyncio.Transport
        self._resamplers: dict[int, Resampler] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- asyncio's side -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Silence goes out at once: older versions wait for a first frame (asterisk#2089)."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        with suppress(OSError):  # the other side has closed again
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if sys.platform == "linux":  # what is not acknowledged for so long is a lost peer
                limit_ms = round(SEND_LIMIT_S * 1000)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)
        self._transport.write(SILENCE)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(ID_WITHIN_S, self._refuse, "no_id")

    def data_received(self, data: bytes) -> None:
        for kind, payload in self._frames.feed(data):
            if self._transport.is_closing():
                return
            if self._edge is None:
                self._begin(kind, payload)
            else:
                self._take(self._edge, kind, payload)
        if self._edge is None and self._frames.next_kind not in (None, ID):
            self._refuse("no_id")

    def connection_lost(self, error: Exception | None) -> None:
        """Asterisk closes without a word when the caller hangs up, and what it has not read then
        makes that a reset; any other error is none of the caller's."""
        self._stop_timer()
        if not self._gone.done():
            self._gone.set_result(None)
        if self._edge is not None:
            is_closed = error is None or isinstance(error, ConnectionError)
            (self._edge.left if is_closed else self._edge.lost)()

    # -- reading ------------------------------------------------------------------------------

    def _begin(self, kind: int, payload: bytes) -> None:
        self._stop_timer()
        if kind != ID or len(payload) != 16:
            self._refuse("no_id")
            return
        self._edge = self._admit(UUID(bytes=payload), self)
        if self._edge is None:
            self._refuse("not_announced")

    def _take(self, edge: PhoneEdge, kind: int, payload: bytes) -> None:
        if kind in RATES_HZ:
            edge.hear(self._at_line_rate(kind, payload[: len(payload) // 2 * 2]))
        elif kind == KEY and len(payload) == 1:
            edge.press(payload.decode("ascii", "replace"))
        elif kind in (HANG_UP, ERROR):
            edge.left()

    def _at_line_rate(self, kind: int, pcm: bytes) -> bytes:
        if kind == AUDIO:
            return pcm
        if kind not in self._resamplers:
            self._resamplers[kind] = Resampler(RATES_HZ[kind], LINE.rate_hz)
        return self._resamplers[kind].process(pcm)

    # -- the edge's side ----------------------------------------------------------------------

    def play(self, frame: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(write_audio(self._keys.fill(frame)))
        waiting_ms = LINE.ms_of(self._transport.get_write_buffer_size())
        if waiting_ms > SEND_LIMIT_S * 1000 and self._edge is not None:
            log.warning("asterisk_takes_nothing", waiting_ms=round(waiting_ms))
            self._edge.lost()

    def mark(self, name: str) -> None:
        """Asterisk returns none here."""

    def flush(self) -> None:
        """Asterisk has nothing left to drop."""
        self._keys.flush()

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    async def leave(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(HEADER.pack(HANG_UP, 0))
            self._transport.close()
            loop = asyncio.get_running_loop()
            loop.call_later(SEND_LIMIT_S, self._transport.abort)
        with suppress(TimeoutError):
            async with asyncio.timeout(SEND_LIMIT_S):
                await asyncio.shield(self._gone)

    # -- inside -------------------------------------------------------------------------------

    def _refuse(self, why: str) -> None:
        self._stop_timer()
        if self._transport.is_closing():
            return
        log.warning("asterisk_call_refused", reason=why)
        self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
