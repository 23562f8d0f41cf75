"""The Realtime edge: any OpenAI Realtime client, carried through as it is.

What talks back already speaks the same protocol, so this edge translates nothing: it checks that
a message is a JSON object of bearable size, keeps Penny's own events from clients that did not
ask for them, and speaks for the server where no speaker can (the first event, the last one). The
client owns its playback, as the protocol has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import structlog
from aiohttp import WSMsgType, web

from penny.aio.channel import Channel, ChannelClosed
from penny.ids import new_id
from penny.realtime.errors import ClientError, describe_error
from penny.realtime.parse import load_message, read_event_id, read_type
from penny.realtime.settings import CoreSettings


log = structlog.get_logger()

Json = dict[str, Any]

INBOUND_EVENTS = 256
"""Client events waiting for the speaker; when it is full the reader stops reading."""
OUTBOUND_EVENTS = 20_000
"""Server events waiting for a client that does not read; past that the session ends."""

GOODBYES: dict[str, tuple[int, str, str]] = {
    "time_limit": (1001, "session_expired", "Your session hit the maximum duration."),
    "drain": (1001, "server_shutting_down", "Penny is shutting down; connect again in a moment."),
    "operator": (1001, "session_ended", "An operator ended this session."),
    "speaker_lost": (1011, "speaker_lost", "The connection to what talks back ended."),
    "cost_limit": (1001, "cost_limit", "The session reached its cost ceiling."),
    "error": (1011, "server_error", "Penny had a fault of her own; it was logged."),
}
"""Reason -> close code, error code and sentence. Any other reason closes with 1000 and no error."""


class RealtimeEdge:
    """One Realtime client.

    Args:
        model: the name the client asked for; every session object it sees carries it.
        penny_events: whether it asked for ``penny.*``.
    """

    name = "realtime"

    def __init__(self, socket: web.WebSocketResponse, *, model: str, penny_events: bool) -> None:
        self._socket = socket
        self._model = model
        self._penny_events = penny_events
        self._limits = CoreSettings()
        self._inbound: Channel[Json] = Channel(INBOUND_EVENTS)
        self._outbound: Channel[str] = Channel(OUTBOUND_EVENTS)
        self._written = asyncio.Event()
        self.end_reason = "client_gone"
        self._closing = False

    # -- reading ------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read the socket until it ends; then no more events come from this client."""
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                await self._take(message.data)
        except ChannelClosed:
            pass  # the session ended while the client still spoke
        finally:
            # Closing the socket is how a Realtime client says goodbye; losing it is not.
            if self._socket.close_code in (1000, 1001):
                self.end_reason = "client_ended"
            self._inbound.close()

    async def _take(self, data: str | bytes) -> None:
        try:
            message = load_message(data, self._limits)
        except ClientError as error:
            self._post(_error_event(error, None))
            return
        try:
            read_type(message)
        except ClientError as error:
            self._post(_error_event(error, read_event_id(message)))
            return
        await self._inbound.send(message)

    # -- the session's side -------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Json]:
        async for event in self._inbound:
            yield event

    def open(self, session: Json) -> None:
        """Say ``session.created`` with the effective session."""
        created = {"type": "session.created", "event_id": new_id("event"), "session": session}
        self._post(self._named(created))

    async def deliver(self, event: Json) -> None:
        kind = event["type"]
        if kind.startswith("penny.") and not self._penny_events:
            return
        self._post(self._named(event) if kind == "session.updated" else event)

    def _named(self, event: Json) -> Json:
        return {**event, "session": {**event["session"], "model": self._model}}

    def _post(self, event: Json) -> None:
        try:
            if self._outbound.try_send(orjson.dumps(event).decode()):
                return
        except ChannelClosed:
            return  # the client is gone
        log.warning("client_does_not_read", waiting=len(self._outbound))
        self._outbound.close()
        self._inbound.close()

    async def write(self) -> None:
        """Send what is queued until the edge closes. The only writer."""
        try:
            async for text in self._outbound:
                await self._socket.send_str(text)
        finally:
            self._written.set()

    async def aclose(self, reason: str, totals: Json) -> None:
        """Close as the real server does: an error where there is one to tell, then the code."""
        if self._closing:
            return
        self._closing = True
        self._inbound.close()
        code, error_code, sentence = GOODBYES.get(reason, (1000, "", ""))
        if error_code:
            fault = {"type": "invalid_request_error", "code": error_code, "message": sentence}
            if error_code in ("server_error", "speaker_lost"):
                fault["type"] = "server_error"
            self._post({"type": "error", "event_id": new_id("event"), "error": fault})
        self._outbound.close()
        try:
            async with asyncio.timeout(2.0):
                await self._written.wait()
                await self._socket.close(code=code)
        except (ConnectionError, TimeoutError):
            log.info("client_left_before_goodbye", reason=reason)


def _error_event(error: ClientError, client_event_id: str | None) -> Json:
    fault = describe_error(
        error.code, error.message, error.field, client_event_id, "invalid_request_error"
    )
    return {"type": "error", "event_id": new_id("event"), "error": fault}
