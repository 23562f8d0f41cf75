"""A speaker at the end of a WebSocket that speaks OpenAI Realtime GA: Penny's worker, or another.

Whoever sends, events leave whole and in the order of the calls: a frame is written in one step.
The connection is configured and seeded before it is handed out, and every refusal on the way is
told with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import orjson
import structlog
from aiohttp import web

from penny.aio.inlet import Message, find_inlet
from penny.aio.outlet import Outlet
from penny.aio.patience import Patience
from penny.aio.websocket import MAX_MESSAGE_BYTES
from penny.errors import ModeUnavailable, SpeakerLost
from penny.session.mode import Json, SessionSpec


log = structlog.get_logger()

CONNECT_TIMEOUT_S = 10.0
HEARTBEAT_S = 4.0
"""A frozen or unplugged speaker is lost within one and a half of these: its callers wait."""
SEND_TIMEOUT_S = 5.0
"""A speaker that takes nothing for this long (or up to twice as long) is lost, however its
connection looks."""

RealtimeSocket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse
"""Who opened the connection makes no difference: a rented worker dials in."""


class RealtimeSpeaker:
    """An open, configured Realtime connection."""

    def __init__(self, socket: RealtimeSocket, info: Json) -> None:
        self._socket = socket
        self._outlet = Outlet(socket)
        self._inlet = find_inlet(socket)
        self._patience = Patience(SEND_TIMEOUT_S)
        self.info = info

    async def send(self, event: Json) -> None:
        """Send one client event. Raises SpeakerLost when the connection is gone."""
        data = orjson.dumps(event)
        try:
            with self._patience:
                await self._socket.send_frame(data, aiohttp.WSMsgType.TEXT)
        except (ConnectionError, aiohttp.ClientError, TimeoutError) as error:
            raise SpeakerLost(f"the speaker's connection broke: {type(error).__name__}") from error

    def take_at_once(self, event: Json) -> bool:
        """Send one client event in this step; False when that would take a wait, or is too late."""
        return self._outlet.write(orjson.dumps(event), aiohttp.WSMsgType.TEXT)

    def bring_to(self, take: Callable[[Json], bool]) -> None:
        """Show ``take`` each event in the step in which it arrives, while ``receive`` waits for
        one: True takes it, False leaves it to ``receive``."""

        def read(message: Message) -> bool:
            if message.type is not aiohttp.WSMsgType.TEXT:
                return False
            try:
                event: Json = orjson.loads(message.data)
            except orjson.JSONDecodeError:
                return False  # ``receive`` says what is wrong with it
            return take(event)

        if self._inlet is not None:
            self._inlet.take = read

    async def receive(self) -> Json | None:
        """The next server event; None when the other side has closed. Raises SpeakerLost if it
        broke off."""
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                event: Json = orjson.loads(message.data)
                return event
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
        code = self._socket.close_code
        if code not in (1000, None) or self._socket.exception() is not None:
            raise SpeakerLost(f"the speaker closed the connection with {code}")
        return None

    async def events(self) -> AsyncIterator[Json]:
        """Server events until the other side closes; raises SpeakerLost if it broke off."""
        while (event := await self.receive()) is not None:
            yield event

    async def aclose(self) -> None:
        if self._inlet is not None:
            self._inlet.take = None
        self._patience.close()
        await self._socket.close()


async def connect(
    http: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    session: Json,
    spec: SessionSpec,
    info: Json,
) -> RealtimeSpeaker:
    """Connect, configure with ``session``, seed ``spec.history``; return the ready speaker.

    Raises:
        ModeUnavailable: no connection, a refusal, or no answer within the limit.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            socket = await http.ws_connect(
                url,
                headers=headers,
                max_msg_size=MAX_MESSAGE_BYTES,
                compress=0,
                heartbeat=HEARTBEAT_S,
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        status = getattr(error, "status", None)
        reason = f"HTTP {status}" if status else type(error).__name__
        raise ModeUnavailable(
            f"the speaker cannot be reached: {reason}",
            remedy="see whether it runs and listens at the configured address",
            retryable=True,
        ) from error
    return await open_on(socket, session, spec, info)


async def open_on(
    socket: RealtimeSocket, session: Json, spec: SessionSpec, info: Json
) -> RealtimeSpeaker:
    """Configure a connection that is open already, and seed it. Raises ModeUnavailable."""
    speaker = RealtimeSpeaker(socket, info)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await _configure(speaker, session, spec)
    except (TimeoutError, SpeakerLost) as error:
        await speaker.aclose()
        raise ModeUnavailable(
            "the speaker did not accept the session in time", remedy="try again", retryable=True
        ) from error
    except ModeUnavailable:
        await speaker.aclose()
        raise
    return speaker


async def _configure(speaker: RealtimeSpeaker, session: Json, spec: SessionSpec) -> None:
    await _expect(speaker, "session.created")
    await speaker.send({"type": "session.update", "session": {"type": "realtime", **session}})
    updated = await _expect(speaker, "session.updated")
    if spec.session:
        wishes = {"type": "realtime", **spec.session}
        await speaker.send({"type": "session.update", "session": wishes})
        updated = await _expect(speaker, "session.updated")
    effective = updated["session"]
    speaker.info["session"] = effective
    speaker.info.setdefault("model", effective.get("model", ""))
    output = (effective.get("audio") or {}).get("output") or {}
    speaker.info["voice"] = output.get("voice")
    for item in spec.history:
        await speaker.send({"type": "conversation.item.create", "item": item})


async def _expect(speaker: RealtimeSpeaker, kind: str) -> Json:
    """Read until ``kind`` comes. Nothing else of interest comes before a session is configured."""
    async for event in speaker.events():
        if event["type"] == kind:
            return event
        if event["type"] == "error":
            fault: dict[str, Any] = event["error"]
            raise ModeUnavailable(
                f"the speaker refused the session: {fault.get('message') or fault.get('code')}",
                remedy="correct the field it names",
            )
    raise SpeakerLost(f"the speaker closed before {kind}")
