"""``chan_websocket``: a call of Asterisk's over a WebSocket, sound in binary, commands in JSON.

Asterisk buffers, paces, returns marks and drops what it has not played; a mark of what it dropped
does not come back. A message that is no multiple of its frame loses its tail, text over 128 bytes
is dropped, a fragmented message ends the call: one whole frame a message is sent, and short names.
"""

from __future__ import annotations

import json
from typing import Any

import structlog
from websockets.frames import CloseCode

from penny.aio.websocket import SocketConnection
from penny.edges.asterisk.announced import Places
from penny.edges.asterisk.wire import FRAME_BYTES, AsteriskWire
from penny.edges.telephone.edge import PhoneEdge


log = structlog.get_logger()

Json = dict[str, Any]

SUBPROTOCOL = "media"
MAX_MESSAGE_BYTES = 65_536
LEAD_MS = 200
STATUS_EVERY = 100
"""Frames: its queue is asked for every two seconds, as a late Asterisk never catches up by itself
(asterisk#2115)."""
SPARE = 6
"""Frames in its queue beyond the lead that are no backlog."""
SILENCE = bytes(FRAME_BYTES)


class MediaWire(AsteriskWire):
    """One connection: a ``Wire``, and the receiver of its messages."""

    lead_ms = LEAD_MS
    tells_played = True
    dead_after_s: float | None = None

    def __init__(self, connection: SocketConnection, places: Places) -> None:
        super().__init__(places)
        self._connection = connection
        self.edge: PhoneEdge | None = None
        self._is_full = False
        self._since_status = 0
        self._to_skip = 0
        self.skipped = 0
        """Frames of silence that were left out, to bring Asterisk's queue down."""

    # -- the edge's side ----------------------------------------------------------------------

    def play(self, frame: bytes) -> None:
        are_keys = self._keys.are_sounding
        frame = self._keys.fill(frame)
        if frame == SILENCE and not are_keys and (self._to_skip > 0 or self._is_full):
            self._to_skip -= 1
            self.skipped += 1
            return
        self._connection.send_binary(frame)
        self._since_status += 1
        if self._since_status >= STATUS_EVERY:
            self._since_status = 0
            self._command("GET_STATUS")

    def mark(self, name: str) -> None:
        self._command("MARK_MEDIA", correlation_id=name)

    def flush(self) -> None:
        """Keys that sound are let sound."""
        self._keys.flush()
        if not self._keys.are_sounding:
            self._command("FLUSH_MEDIA")

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    async def leave(self) -> None:
        self._command("HANGUP")
        await self._connection.close()

    # -- Asterisk's side ----------------------------------------------------------------------

    def on_message(self, message: str | bytes, /) -> None:
        if isinstance(message, str):
            self._take(message)
        elif self.edge is not None:
            self.edge.hear(message[: len(message) // 2 * 2])

    def on_writable(self) -> None:
        """Nothing waited for it: the connection keeps what is sent, and ends when it stays full."""

    def on_closed(self) -> None:
        if self.edge is not None:
            is_broken = self._connection.close_code == CloseCode.ABNORMAL_CLOSURE
            (self.edge.lost if is_broken else self.edge.left)()

    def _take(self, text: str) -> None:
        try:
            event = json.loads(text)
            kind = event.get("event")
        except (ValueError, AttributeError):
            log.warning("asterisk_event_unreadable")  # f(json) is missing in the dialplan
            return
        assert self.edge is not None
        match kind:
            case "MEDIA_START":
                self._begin(event)
            case "MEDIA_MARK_PROCESSED":
                self.edge.marked(str(event.get("correlation_id") or ""))
            case "DTMF_END":
                self.edge.press(str(event.get("digit") or ""))
            case "MEDIA_XOFF":
                self._is_full = True
            case "MEDIA_XON":
                self._is_full = False
            case "STATUS":
                self._correct(event)
            case "ERROR":
                log.warning("asterisk_refused_command", error=str(event.get("error_text"))[:100])

    def _begin(self, event: Json) -> None:
        """What Asterisk tells first, though sound may come before it (asterisk#1712)."""
        size, form = event.get("optimal_frame_size"), str(event.get("format"))
        if form != "slin" or size != FRAME_BYTES:
            log.error("asterisk_media_format", format=form[:20], remedy="dial with c(slin)")
            self._connection.begin_close()

    def _correct(self, status: Json) -> None:
        length = status.get("queue_length")
        if isinstance(length, int):
            self._to_skip = max(0, length - LEAD_MS // 20 - SPARE)

    def _command(self, name: str, **facts: str) -> None:
        self._connection.send_text(json.dumps({"command": name, **facts}).encode())
