"""Twilio's Media Streams as a telephone wire: one WebSocket, text messages, mu-law at 8 000 Hz.

Twilio buffers what it is sent and paces it itself; ``clear`` empties that buffer and has all
pending marks come back. Liberal in what it takes: bridges that speak this protocol leave fields
out, count timestamps in samples, and write other types of numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from pybase64 import b64decode, b64encode

from penny.aio.websocket import SocketConnection
from penny.audio.format import AudioFormat
from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.tones import write_keys
from penny.errors import ProtocolError


log = structlog.get_logger()

Json = dict[str, Any]

LEAD_MS = 200
MAX_MESSAGE_BYTES = 65_536
HEARTBEAT_S = 2.0
"""A peer that answers no ping is given up after half as long again: a dead one in three seconds."""
SEND_LIMIT_S = 2.0
START_S = 5.0
"""A stream tells what it is within this."""
TOKEN = "token"
"""The parameter of a stream that lets it in."""


class TwilioWire:
    """The stream of one call, after its ``start``.

    Args:
        knows: whether a name of the operator's has a number.
        transfer: puts the call through to a name of the operator's, with a summary.
        end: ends the call itself, where more than the stream's end is needed.
        again: has Twilio begin another stream of the call; False where it goes on without.
    """

    format = AudioFormat("pcmu", 8000)
    lead_ms = LEAD_MS
    tells_played = True
    needs_audio = False
    dead_after_s: float | None = None
    heard_within_s: float | None = 2.0

    def __init__(
        self,
        connection: SocketConnection,
        stream_sid: str,
        knows: Callable[[str], bool],
        transfer: Callable[[str, str], Awaitable[bool]],
        end: Callable[[], Awaitable[None]],
        again: Callable[[], Awaitable[bool]],
    ) -> None:
        self._connection = connection
        self._sid = stream_sid
        self.can_transfer = knows
        self._transfer = transfer
        self._end = end
        self._again = again
        self._has_stopped = self._is_over = False
        self.unknown = 0
        """Messages that were not understood."""
        head = b'{"event":"media","streamSid":' + orjson.dumps(stream_sid)
        self._media_head = head + b',"media":{"payload":"'
        self.edge: PhoneEdge

    # -- Wire ---------------------------------------------------------------------------------

    def play(self, frame: bytes) -> None:
        self._connection.send_text(self._media_head + b64encode(frame) + b'"}}')

    def mark(self, name: str) -> None:
        self._send({"event": "mark", "streamSid": self._sid, "mark": {"name": name}})

    def flush(self) -> None:
        self._send({"event": "clear", "streamSid": self._sid})

    def send_keys(self, digits: str) -> None:
        """As tones: ``<Play digits>`` would end the stream."""
        for frame in write_keys(digits, self.format):
            self.play(frame)

    async def transfer(self, destination: str, summary: str) -> bool:
        if self._has_stopped or not await self._transfer(destination, summary):
            return False
        self._is_over = True
        self._connection.begin_close()
        return True

    async def hang_up(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if not self._has_stopped:
            await self._end()
        self._connection.begin_close()

    async def leave(self) -> None:
        self._is_over = True
        self._connection.begin_close()

    async def connect_anew(self) -> None:
        """Twilio ends this stream itself as it begins the next."""
        if not self._is_over and not self._has_stopped:
            await self._again()
        await self.leave()

    def _send(self, message: Json) -> None:
        self._connection.send_text(orjson.dumps(message))

    # -- SocketReceiver -----------------------------------------------------------------------

    def on_message(self, message: str | bytes, /) -> None:
        """Take one message of Twilio's. One that makes no sense is counted and passed over."""
        try:
            event = orjson.loads(message)
            take = _TAKES.get(event["event"])
            if take is None:
                self.unknown += 1
            else:
                take(self, event)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.unknown += 1

    def on_writable(self) -> None:
        """The player keeps what is not sent; nothing waits here."""

    def on_closed(self) -> None:
        self._has_stopped = True  # Twilio has gone on with the call by itself
        self.edge.lost()

    def _media(self, event: Json) -> None:
        media = event["media"]
        if media.get("track", "inbound") == "inbound":
            at = media.get("timestamp")
            self.edge.hear(b64decode(media["payload"]), int(at) if _is_whole(at) else None)

    def _mark(self, event: Json) -> None:
        self.edge.marked(str(event["mark"]["name"]))

    def _dtmf(self, event: Json) -> None:
        self.edge.press(str(event["dtmf"]["digit"]))

    def _stop(self, _event: Json) -> None:
        self._has_stopped = True
        self.edge.left()

    def _nothing(self, _event: Json) -> None:
        """``connected`` and ``start`` once more."""


_TAKES: dict[str, Callable[[TwilioWire, Json], None]] = {
    "media": TwilioWire._media,
    "mark": TwilioWire._mark,
    "dtmf": TwilioWire._dtmf,
    "stop": TwilioWire._stop,
    "connected": TwilioWire._nothing,
    "start": TwilioWire._nothing,
}


async def read_start(connection: SocketConnection) -> Json:
    """The message that tells what a stream is. Raises ProtocolError, TimeoutError."""
    async with asyncio.timeout(START_S):
        while (message := await connection.receive()) is not None:
            try:
                event = orjson.loads(message)
                if event.get("event") == "start":
                    start: Json = event["start"]
                    start.setdefault("streamSid", event.get("streamSid", ""))
                    start.get("customParameters", {}).get(TOKEN)
                    return start
            except (ValueError, AttributeError, KeyError):
                break
    raise ProtocolError("the stream began with no start", code="bad_start")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) or (
        isinstance(value, str) and value.isascii() and value.isdigit()
    )
