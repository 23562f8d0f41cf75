"""A Realtime client that asked to be held: it may lose its connection and go on over another.

The same machinery as ``/ws`` (``penny.edges.socket.wire``): the client counts every message since
``session.created``, which is number 1, and gets everything after the last one it has, in order.
Every event stands in one queue here: a Realtime client owns its playback, so nothing is paced.
What was sent is kept up to ``max_bytes``; a client that misses more than that cannot resume, since
neither an event nor a piece of audio is lost in silence.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import structlog
from aiohttp import WSMsgType

from penny.aio.channel import ChannelClosed
from penny.edges.realtime.edge import RealtimeEdge
from penny.edges.socket.wire import HoldSettings, Line, Wire
from penny.ids import new_id


log = structlog.get_logger()

Json = dict[str, Any]


class ResumableEdge(RealtimeEdge):
    """One Realtime client and its connection of the moment.

    Args:
        line: its first connection.
        hold: how long a lost client may take to come back, and how much is kept for it.
    """

    def __init__(self, line: Line, hold: HoldSettings, **options: Any) -> None:
        super().__init__(line.socket, **options)
        self._hold = hold
        self._wire = Wire(line, hold, self._inbound.close)
        self._taken = 0
        self.resumed = 0
        """Times the client came back."""

    def announce(self, resume_token: str) -> None:
        """Tell the client, after ``session.created``, how it comes back."""
        self._post(
            {
                "type": "penny.session.resumable",
                "event_id": new_id("event"),
                "resume_token": resume_token,
                "within_ms": round(self._hold.hold_s * 1000),
            }
        )

    def resume(self, session_id: str, line: Line, received: int) -> bool:
        """Go on over another connection; False when that is not possible any more.

        Args:
            received: messages the client has of this session.
        """
        missed = None if self._is_leaving else self._wire.resume(line, received)
        if missed is None:
            return False
        self.resumed += 1
        greeting = {
            "type": "penny.session.resumed",
            "event_id": new_id("event"),
            "session_id": session_id,
            "replayed": missed.messages,
            "received": self._taken,
        }
        self._wire.greet(orjson.dumps(greeting).decode())
        return True

    @property
    def _is_leaving(self) -> bool:
        return self._closing or self.end_reason == "client_ended"

    async def read(self, line: Line | None = None) -> None:
        """Read a connection (the first one unless given) until it ends or another replaces it."""
        line = line or self._wire.line
        if line is None:
            return
        try:
            async for message in line.socket:
                if line is not self._wire.line:
                    return
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                self._taken += 1
                await self._take(message.data)
        except ChannelClosed:
            return  # the session ended while the client still spoke
        finally:
            if line is self._wire.line and line.socket.close_code in (1000, 1001):
                self.end_reason = "client_ended"
            self._wire.lose(line, leaving=self._is_leaving)

    def _post(self, event: Json) -> None:
        if not self._wire.post(orjson.dumps(event).decode()):
            log.warning("client_does_not_read", waiting=self._wire.waiting)
            self._inbound.close()

    async def write(self) -> None:
        """Send what is queued until the edge closes. The only writer."""
        while not self._closing:
            line = self._wire.line
            if line is None:
                await self._wire.wake.wait()
                continue
            try:
                await self._wire.send_all(line)
            except ConnectionError:
                self._wire.lose(line, leaving=self._is_leaving)
                continue
            if not self._wire.waiting:
                await self._wire.wake.wait()

    async def _hang_up(self, code: int, reason: str) -> None:
        self._wire.wake.set()
        self._wire.wake.close()
        self._wire.forget_hold()
        line = self._wire.line
        if line is None or line.socket.closed:
            return
        try:
            async with asyncio.timeout(2.0):
                await self._wire.send_all(line)
                await line.socket.close(code=code)
        except (ConnectionError, TimeoutError):
            log.info("client_left_before_goodbye", reason=reason)
            line.abort()
