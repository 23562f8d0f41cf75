"""A provider's WebSocket: sends without waiting, brings events to a sink.

Address and credentials are the SDK's. Its own connection is not used: a task and a future for every
frame cost more than a bare relay does, its parsing validates nothing, and its reconnection would go
on silently in an empty session.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterable, Mapping
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import openai
import orjson
import structlog

from config.credentials import OPENAI_API_KEY, read_secret
from modes.external.speaker import TERMINAL_CODES, Json, UpstreamSink
from penny.aio.handshake import HandshakeError, dial
from penny.aio.websocket import SocketConnection
from penny.errors import ModeUnavailable, PennyError, SpeakerLost
from penny.writable import dump_json


log = structlog.get_logger()

OPEN_TIMEOUT_S = 10.0
SEND_LIMIT_S = 5.0
"""A provider that takes nothing for so long is lost, however its connection looks."""
MAX_UNSENT_BYTES = 32 * 1024 * 1024
"""And so is one for which more than the largest message waits."""


async def connect(
    client: openai.AsyncOpenAI, path: str, query: Mapping[str, str]
) -> SocketConnection:
    """Open the WebSocket at ``path`` below the client's base URL. Raises ModeUnavailable."""
    base = urlsplit(str(client.base_url))
    scheme = "ws" if base.scheme == "http" else "wss"
    url = f"{scheme}://{base.netloc}{base.path.rstrip('/')}/{path}"
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            return await dial(
                f"{url}?{urlencode(query)}" if query else url,
                client.auth_headers,
                proxy=_find_proxy(scheme, base.hostname or ""),
                send_limit_s=SEND_LIMIT_S,
            )
    except HandshakeError as error:
        if error.status is None:
            raise _unreachable(error) from error
        final = error.status in (401, 403, 404)
        raise ModeUnavailable(
            f"the speaker refused the connection: HTTP {error.status}",
            remedy="check the key and the model" if final else "try again in a moment",
            retryable=not final,
        ) from error
    except (OSError, TimeoutError) as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> ModeUnavailable:
    return ModeUnavailable(
        f"the speaker cannot be reached: {type(error).__name__}",
        remedy="see whether it runs and listens at the configured address",
        retryable=True,
    )


def _find_proxy(scheme: str, host: str) -> str | None:
    """The HTTP proxy that the environment names for this host."""
    if proxy_bypass(host):
        return None
    return getproxies().get("https" if scheme == "wss" else "http")


async def configure(settings: Awaitable[None]) -> None:
    """Wait until a session is set up. Raises ModeUnavailable."""
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await settings
    except (TimeoutError, SpeakerLost) as error:
        final = isinstance(error, SpeakerLost) and not error.retryable
        reason = error.message if isinstance(error, SpeakerLost) else "no answer in time"
        raise ModeUnavailable(
            f"the speaker did not accept the session: {reason}",
            remedy="see the provider's account" if final else "try again",
            retryable=not final,
        ) from error


class VendorProvider:
    """What opens a vendor's upstreams. ``base_url``: another server; then no key is needed."""

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._client: openai.AsyncOpenAI | None = None

    @property
    def client(self) -> openai.AsyncOpenAI:
        """The SDK's client."""
        if self._client is None:
            key = read_secret(OPENAI_API_KEY, os.environ)
            secret = key.get_secret_value() if key is not None else "none"
            self._client = openai.AsyncOpenAI(api_key=secret, base_url=self._base_url)
        return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()


class VendorSocket:
    """One connection of one upstream. ``info``: what the session shows of it."""

    def __init__(self, connection: SocketConnection, info: Json) -> None:
        self.info = info
        self._connection = connection
        self._sink: UpstreamSink | None = None

    @property
    def is_full(self) -> bool:
        return self._connection.is_full

    def write(self, event: Json) -> None:
        """Send an event as it is. Raises SpeakerLost."""
        connection = self._connection
        if not connection.is_open:
            raise self._loss()
        if connection.is_full and connection.buffered > MAX_UNSENT_BYTES:
            connection.abort()
            raise SpeakerLost("the speaker takes nothing")
        connection.send_text(dump_json(event))

    async def drain(self) -> None:
        await self._connection.drain()

    async def read(self) -> Json:
        """The next event, before ``start``. Raises SpeakerLost."""
        while (message := await self._connection.receive()) is not None:
            event = _parse(message)
            if event is not None:
                return event
        raise self._loss()

    async def expect(self, kind: str) -> Json:
        """Read on to an event of this kind. Raises SpeakerLost; ModeUnavailable for an error."""
        while True:
            event = await self.read()
            if event["type"] == kind:
                return event
            if event["type"] == "error":
                fault = event["error"]
                terminal = fault.get("code") in TERMINAL_CODES
                raise ModeUnavailable(
                    f"the speaker refused: {fault.get('message') or fault.get('code')}",
                    remedy="see the provider's account" if terminal else "correct what it names",
                )

    def translate(self, event: Json) -> Iterable[Json]:
        """What an event of the vendor's means outside. SpeakerLost ends the connection."""
        return (event,)

    def start(self, sink: UpstreamSink) -> None:
        self._sink = sink
        self._connection.start(self)

    async def aclose(self) -> None:
        self._sink = None
        await self._connection.close()

    def _loss(self) -> SpeakerLost:
        return SpeakerLost(f"the speaker closed the connection with {self._connection.close_code}")

    # -- the connection's side ------------------------------------------------------------------

    def on_message(self, message: str | bytes) -> None:
        event = _parse(message)
        if event is None or self._sink is None:
            return
        try:
            for shown in self.translate(event):
                self._sink.on_event(shown)
        except SpeakerLost as error:
            self._end(error)
            self._connection.abort()
        except (PennyError, LookupError, TypeError, ValueError, AttributeError) as error:
            # A shape that nobody knew when this was written: passed over, never deaf.
            reason = type(error).__name__
            log.warning("upstream_event_not_understood", event_type=event["type"], error=reason)

    def on_writable(self) -> None:
        """Who waits for room waits in ``drain``."""

    def on_closed(self) -> None:
        self._end(self._loss())

    def _end(self, error: SpeakerLost) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.on_closed(error)


def _parse(message: str | bytes) -> Json | None:
    try:
        event = orjson.loads(message)
    except orjson.JSONDecodeError:
        event = None
    if isinstance(event, dict) and isinstance(event.get("type"), str):
        return event
    log.warning("upstream_event_unreadable")
    return None
