"""The Realtime edge: any OpenAI Realtime client, carried through as it is.

What talks back already speaks the same protocol, so this edge translates nothing: it checks that
a message is a JSON object of bearable size, keeps Penny's own events from clients that did not
ask for them, and speaks for the server where no speaker can (the first event, the last one). The
client owns its playback, as the protocol has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import structlog
from aiohttp import WSMsgType, web

from penny.aio.channel import Channel, ChannelClosed
from penny.aio.outlet import Outlet
from penny.errors import ProtocolError
from penny.ids import new_id
from penny.realtime.errors import ClientError, describe_error
from penny.realtime.parse import load_message, read_event_id, read_type
from penny.realtime.settings import CoreSettings
from penny.trust.limits import MessageRate


log = structlog.get_logger()

Json = dict[str, Any]

INBOUND_EVENTS = 256
"""Client events waiting for the speaker; when it is full the reader stops reading."""
OUTBOUND_EVENTS = 20_000
"""Server events waiting for a client that does not read; past that the session ends."""

INTERNAL = frozenset({"penny.session"})
"""Penny's own events that are no client's business: the speaker's session, for observers."""

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
        expires_at: Unix time at which the gateway ends the session; a speaker's earlier end counts.
        penny_events: whether it asked for ``penny.*``.
        check: raises ProtocolError for an event that this client may not send.
        rate: of its messages; one too many is answered by an error and not taken.
        clock: seconds, for ``rate``.
    """

    name = "realtime"

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        model: str,
        expires_at: int,
        penny_events: bool,
        check: Callable[[Json], None] | None = None,
        rate: MessageRate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = socket
        self._model = model
        self._expires_at = expires_at
        self._penny_events = penny_events
        self._has_expired = False
        self._limits = CoreSettings()
        self._check = check
        self._rate = rate or MessageRate(None)
        self._clock = clock
        self._inbound: Channel[Json] = Channel(INBOUND_EVENTS)
        self._outbound: Channel[str] = Channel(OUTBOUND_EVENTS)
        self._outlet = Outlet(socket)
        self._is_sending = False
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
        event_id = None
        try:
            message = load_message(data, self._limits)
            event_id = read_event_id(message)
            if read_type(message) == "session.update":
                message = self._without_model(message)
            self._check_rate(message)
            if self._check is not None:
                self._check(message)
        except ProtocolError as error:
            self._post(error_event(error, event_id))
            return
        await self._inbound.send(message)

    def _check_rate(self, message: Json) -> None:
        """Raises ClientError ``rate_limited``."""
        # Audio is paced by the session itself; counting its pieces would punish small ones.
        if message["type"] == "input_audio_buffer.append":
            return
        wait_s = self._rate.take(self._clock())
        if wait_s > 0:
            raise ClientError("rate_limited", f"Too many messages; try again in {wait_s:.1f} s.")

    def _without_model(self, message: Json) -> Json:
        """The update less its ``model``: what answers has another name than what was asked for.

        Raises:
            ClientError: it is another model than the session's.
        """
        session = message.get("session")
        if not isinstance(session, dict) or "model" not in session:
            return message
        if session["model"] not in (None, self._model):
            raise ClientError(
                "cannot_update_model",
                f"'session.model' cannot change once connected (it is '{self._model}'); connect "
                "again with ?model=… or leave it out.",
                "session.model",
            )
        return {**message, "session": {k: v for k, v in session.items() if k != "model"}}

    # -- the session's side -------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Json]:
        async for event in self._inbound:
            yield event

    def open(self, session: Json) -> None:
        """Say ``session.created`` with the effective session."""
        created = {"type": "session.created", "event_id": new_id("event"), "session": session}
        self._post(self._named(created))

    def deliver(self, event: Json) -> None:
        kind = event["type"]
        if kind in INTERNAL or (kind.startswith("penny.") and not self._penny_events):
            return
        if kind == "error" and event["error"].get("code") == "session_expired":
            self._has_expired = True
        self._post(self._named(event) if kind == "session.updated" else event)

    def _named(self, event: Json) -> Json:
        """The session as this client should see it: its model, its end, nothing of Penny's own."""
        session = {k: v for k, v in event["session"].items() if not k.startswith("penny_")}
        expires_at = min(self._expires_at, session.get("expires_at") or self._expires_at)
        return {**event, "session": {**session, "model": self._model, "expires_at": expires_at}}

    def _post(self, event: Json) -> None:
        data = orjson.dumps(event)
        if not (self._is_sending or self._outbound or self._outbound.closed) and self._outlet.write(
            data, WSMsgType.TEXT
        ):
            return  # nothing waits before it, and nobody has to wait for the client
        try:
            if self._outbound.try_send(data.decode()):
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
                self._is_sending = True
                await self._socket.send_str(text)
                self._is_sending = False
        finally:
            self._written.set()

    async def aclose(self, reason: str, totals: Json) -> None:
        """Close as the real server does: an error where there is one to tell, then the code."""
        if self._closing:
            return
        self._closing = True
        self._inbound.close()
        code, error_code, sentence = GOODBYES.get(reason, (1000, "", ""))
        if self._has_expired:
            # The speaker's own limit came first, and it has told the client.
            code, error_code = 1001, ""
        if error_code:
            kind = "server_error" if code == 1011 else "invalid_request_error"
            fault = describe_error(error_code, sentence, None, None, kind)
            self._post({"type": "error", "event_id": new_id("event"), "error": fault})
        await self._hang_up(code, reason)

    async def _hang_up(self, code: int, reason: str) -> None:
        self._outbound.close()
        try:
            async with asyncio.timeout(2.0):
                await self._written.wait()
                await self._socket.close(code=code)
        except (ConnectionError, TimeoutError):
            log.info("client_left_before_goodbye", reason=reason)


def error_event(error: ProtocolError, client_event_id: str | None) -> Json:
    fault = describe_error(
        error.code, error.message, error.field, client_event_id, "invalid_request_error"
    )
    return {"type": "error", "event_id": new_id("event"), "error": fault}
