"""A speaker at the end of a WebSocket that speaks OpenAI Realtime GA: Penny's worker, or another.

The connection is configured and seeded before it is handed out, and every refusal on the way is
told with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
import structlog

from penny.aio.websocket import SocketConnection
from penny.errors import ModeUnavailable, SpeakerLost
from penny.session.mode import Json, SessionSpec, SpeakerSink
from penny.writable import dump_json


log = structlog.get_logger()

CONNECT_TIMEOUT_S = 10.0
HEARTBEAT_S = 4.0
"""A frozen or unplugged speaker is lost within one and a half of these: its callers wait."""
SEND_LIMIT_S = 5.0
"""A speaker that takes nothing for so long is lost, however its connection looks."""
MAX_UNSENT_BYTES = 32 * 1024 * 1024
"""And so is one for which more than the largest message waits."""


class RealtimeSpeaker:
    """An open, configured Realtime connection."""

    def __init__(self, connection: SocketConnection, info: Json) -> None:
        self._connection = connection
        self._sink: SpeakerSink | None = None
        self._closed = False
        self.info = info

    @property
    def is_full(self) -> bool:
        return self._connection.is_full

    def start(self, sink: SpeakerSink) -> None:
        self._sink = sink
        self._connection.start(self)

    def send(self, event: Json) -> None:
        connection = self._connection
        if not connection.is_open:
            raise self._loss()
        if connection.is_full and connection.buffered > MAX_UNSENT_BYTES:
            connection.abort()
            raise SpeakerLost("the speaker takes nothing")
        connection.send_text(dump_json(event))

    async def drain(self) -> None:
        await self._connection.drain()
        if not self._connection.is_open:
            raise self._loss()

    async def receive(self) -> Json:
        """The next server event, before ``start``. Raises SpeakerLost."""
        while (message := await self._connection.receive()) is not None:
            if (event := _parse(message)) is not None:
                return event
        raise self._loss()

    def _loss(self) -> SpeakerLost:
        return SpeakerLost(f"the speaker closed the connection with {self._connection.close_code}")

    # -- the connection's side ----------------------------------------------------------------

    def on_message(self, message: str | bytes) -> None:
        if self._sink is not None and (event := _parse(message)) is not None:
            self._sink.on_event(event)

    def on_writable(self) -> None:
        """Who waits for room waits in ``drain``."""

    def on_closed(self) -> None:
        if self._sink is not None and not self._closed:
            in_order = self._connection.close_code == 1000
            self._sink.on_closed(None if in_order else self._loss())

    async def aclose(self) -> None:
        self._closed = True
        await self._connection.close()


def _parse(message: str | bytes) -> Json | None:
    """The event in a message; None, and a warning, for what is none."""
    try:
        event = orjson.loads(message)
    except orjson.JSONDecodeError:
        event = None
    if isinstance(event, dict) and isinstance(event.get("type"), str):
        return event
    log.warning("speaker_event_unreadable")
    return None


async def open_on(
    connection: SocketConnection, session: Json, spec: SessionSpec, info: Json
) -> RealtimeSpeaker:
    """Configure a connection that is open already, and seed it. Raises ModeUnavailable."""
    speaker = RealtimeSpeaker(connection, info)

    async def steps() -> None:
        wishes = [{**spec.session, "type": spec.kind}] if spec.session else []
        await configure(speaker, {"type": spec.kind, **session}, *wishes)
        for item in spec.history:
            speaker.send({"type": "conversation.item.create", "item": item})

    await set_up(speaker, steps())
    return speaker


async def set_up(speaker: RealtimeSpeaker, steps: Awaitable[None]) -> None:
    """Wait for a session's first steps, or close it. Raises ModeUnavailable."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await steps
    except (TimeoutError, SpeakerLost) as error:
        await speaker.aclose()
        reason = error.message if isinstance(error, SpeakerLost) else "no answer in time"
        raise ModeUnavailable(
            f"the speaker did not accept the session: {reason}", remedy="try again", retryable=True
        ) from error
    except BaseException:
        await speaker.aclose()
        raise


async def configure(speaker: RealtimeSpeaker, *sessions: Json) -> None:
    """Wait for the session and update it; ``info`` tells the effective one. Raises SpeakerLost,
    ModeUnavailable."""
    effective = (await expect(speaker, "session.created"))["session"]
    speaker.info["expires_at"] = effective.get("expires_at")
    for session in sessions:
        speaker.send({"type": "session.update", "session": {"type": "realtime", **session}})
        effective = (await expect(speaker, "session.updated"))["session"]
    speaker.info["session"] = effective
    speaker.info.setdefault("model", effective.get("model", ""))
    output = (effective.get("audio") or {}).get("output") or {}
    speaker.info["voice"] = output.get("voice")


async def expect(speaker: RealtimeSpeaker, kind: str) -> Json:
    """Read until ``kind`` comes. Nothing else of interest comes before a session is configured."""
    while True:
        event = await speaker.receive()
        if event["type"] == kind:
            return event
        if event["type"] == "error":
            fault: dict[str, Any] = event["error"]
            raise ModeUnavailable(
                f"the speaker refused the session: {fault.get('message') or fault.get('code')}",
                remedy="correct the field it names",
            )
