"""A WebRTC data channel in the shape of a socket connection, for the Realtime edge to stand on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from penny.aio.websocket import CALLER_MESSAGES_PER_S, SocketReceiver
from penny.trust.limits import MessageRate
from penny.writable import dump_json


if TYPE_CHECKING:
    import webrtc

log = structlog.get_logger()

LOW_BYTES = 16_384
FULL_BYTES = 65_536
"""The mark of a socket's transport (asyncio), for the same back-pressure."""
MAX_BYTES = 262_144
"""Longest message: what Chrome announces (a=max-message-size)."""
KEPT_MESSAGES = 256
"""Of a caller, while nothing reads; what comes beyond is refused by closing."""


class ChannelConnection:
    """What a Realtime client and Penny write to each other on ``oai-events``.

    Before the client opens its channel it counts as full: what is sent waits with the edge.
    A message longer than SCTP carries (256 KiB) is replaced by an error that names it.

    """

    def __init__(self) -> None:
        self._channel: webrtc.RTCDataChannel | None = None
        self._receiver: SocketReceiver | None = None
        self._kept: list[str | bytes] = []
        # A channel cannot be paused: who writes faster is closed.
        self._rate = MessageRate(CALLER_MESSAGES_PER_S, burst_s=1.0)
        self._is_paused = False
        self._is_closing = False
        self.close_code: int | None = None
        self.flushed = asyncio.Event()
        """Set once all that was written before ``begin_close`` has left, or never will."""

    @property
    def is_full(self) -> bool:
        channel = self._channel
        return channel is None or channel.buffered_amount > FULL_BYTES

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        return self._channel.buffered_amount if self._channel is not None else 0

    def open(self, channel: webrtc.RTCDataChannel) -> None:
        """The client's channel is here. A second one is not listened to."""
        if self._channel is not None or self._is_closing:
            channel.close()
            return
        self._channel = channel
        channel.buffered_amount_low_threshold = LOW_BYTES
        channel.on("message", lambda event: self._take(event.data))
        channel.on("bufferedamountlow", lambda _event: self._on_low())
        channel.on("close", lambda _event: self._on_close())
        self._on_low()

    def start(self, receiver: SocketReceiver) -> None:
        self._receiver = receiver
        self.resume()
        if self.close_code is not None:
            receiver.on_closed()

    def pause(self) -> None:
        self._is_paused = True

    def slow_down(self, rest_s: float = 0.0) -> None:
        """Nothing: a channel cannot be paused, and who writes faster is closed."""

    def resume(self) -> None:
        self._is_paused = False
        while self._kept and self._receiver is not None and not self._is_paused:
            self._receiver.on_message(self._kept.pop(0))

    def send_text(self, data: bytes) -> None:
        channel = self._channel
        if channel is None or channel.ready_state != "open":
            return
        if len(data) > MAX_BYTES:
            log.warning("event_too_long_for_channel", size_bytes=len(data))
            data = _too_long(len(data))
        channel.send(data.decode())

    def begin_close(self, code: int = 1000, _reason: str = "") -> None:
        """Close once everything written has left. Idempotent."""
        self.close_code = self.close_code or code
        self._is_closing = True
        if self._channel is None or self._channel.buffered_amount == 0:
            self.flushed.set()
        else:
            self._channel.buffered_amount_low_threshold = 0

    def lost(self, code: int = 1006) -> None:
        """The connection beneath is gone."""
        self._on_close(code)

    # -- inside -------------------------------------------------------------------------------

    def _take(self, message: str | bytes | webrtc.Blob) -> None:
        if self._is_closing or not isinstance(message, str | bytes):
            return
        is_read = self._receiver is not None and not self._is_paused
        if self._rate.take(time.monotonic()) > 0 or (
            not is_read and len(self._kept) >= KEPT_MESSAGES
        ):
            log.warning("client_writes_too_much", kept=len(self._kept))
            self._is_closing = True
            self._on_close(1009)
        elif is_read and self._receiver is not None:
            self._receiver.on_message(message)
        else:
            self._kept.append(message)

    def _on_low(self) -> None:
        if self._is_closing:
            self.flushed.set()
        elif self._receiver is not None:
            self._receiver.on_writable()

    def _on_close(self, code: int = 1000) -> None:
        self.flushed.set()
        if self.close_code is None:
            self.close_code = code
            if self._receiver is not None:
                self._receiver.on_closed()


def _too_long(size_bytes: int) -> bytes:
    message = (
        f"An event of {size_bytes} bytes is longer than a data channel carries ({MAX_BYTES}); "
        "read it over a WebSocket (?call_id=)."
    )
    fault = {"type": "server_error", "code": "event_too_long", "message": message, "param": None}
    return dump_json({"type": "error", "event_id": "event_too_long", "error": fault})
