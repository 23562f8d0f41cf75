"""`/ws`: from the upgrade to the session and back. The only place that starts a SocketEdge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from config.schema import Config
from penny.edges.socket.edge import PlaybackSettings, SocketEdge
from penny.errors import ModeUnavailable, PennyError, ProtocolError, SessionRefused
from penny.gateway.doorway import host
from penny.ids import new_id
from penny.protocol.codec import MAX_AUDIO_BYTES, dump, parse_client_message
from penny.protocol.error import CloseCode, SessionError, SessionWarning
from penny.protocol.message import ServerEvent
from penny.protocol.session import (
    PROTOCOL_VERSION,
    AudioFormats,
    Capabilities,
    Notice,
    SessionStart,
    SessionStarted,
    SpeakerInfo,
)
from penny.session.broker import Broker
from penny.session.mode import Mode, SessionSpec, Speaker


log = structlog.get_logger()

Json = dict[str, Any]


class SocketDoor:
    """Opens sessions for WebSocket clients."""

    def __init__(self, broker: Broker, config: Config, clock: Callable[[], float]) -> None:
        self._broker = broker
        self._config = config
        self._clock = clock

    async def connect(self, request: web.Request) -> web.StreamResponse:
        gateway = self._config.gateway
        socket = web.WebSocketResponse(
            max_msg_size=max(gateway.max_message_bytes, MAX_AUDIO_BYTES + 1),
            heartbeat=gateway.heartbeat_s,
            compress=False,
        )
        await socket.prepare(request)
        try:
            await self._serve(socket)
        except _Refused as refusal:
            with suppress(ConnectionError):
                await socket.send_str(dump(refusal.event))
                await socket.close(code=refusal.close_code)
        return socket

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        start = await self._read_start(socket)
        try:
            mode = self._broker.choose(start.mode)
            async with self._broker.admit():
                await self._open(socket, start, mode)
        except ProtocolError as error:
            raise _Refused(error, CloseCode.INVALID_START) from error
        except ModeUnavailable as error:
            raise _Refused(error, CloseCode.MODE_UNAVAILABLE) from error
        except SessionRefused as error:
            raise _Refused(error, CloseCode.SESSION_REFUSED, retry_after_ms=5_000) from error

    async def _read_start(self, socket: web.WebSocketResponse) -> SessionStart:
        """The first message, which must be session_start; bad ones may be corrected in time."""
        try:
            async with asyncio.timeout(self._config.gateway.start_timeout_s):
                async for message in socket:
                    if message.type is not WSMsgType.TEXT:
                        await socket.send_str(dump(_not_started()))
                        continue
                    start = await self._parse_start(socket, message.data)
                    if start is not None:
                        return start
        except TimeoutError:
            error = ProtocolError(
                f"no session_start within {self._config.gateway.start_timeout_s:g} s",
                code="session_not_started",
            )
            raise _Refused(error, CloseCode.START_TIMEOUT) from None
        raise _Refused(ProtocolError("the client left"), CloseCode.NORMAL)

    async def _parse_start(self, socket: web.WebSocketResponse, text: str) -> SessionStart | None:
        try:
            message = parse_client_message(text)
        except ProtocolError as error:
            event = SessionError(
                code=error.code, message=error.message, retryable=False, field=error.field
            )
            await socket.send_str(dump(event))
            return None
        if isinstance(message, SessionStart):
            return message
        await socket.send_str(dump(_not_started()))
        return None

    async def _open(self, socket: web.WebSocketResponse, start: SessionStart, mode: Mode) -> None:
        spec = self._specify(start)
        formats = start.audio.agree()
        speaker = await self._broker.open(mode, spec)
        edge = SocketEdge(socket, formats, PlaybackSettings(), clock=self._clock)
        edge.post(self._started(spec, mode, formats, speaker))
        for warning in self._warnings(start, mode):
            edge.post(warning)
        await self._greet(speaker, self._greeting(start))
        await host(self._broker, mode, spec, edge, speaker)

    # -- what the caller asked for ------------------------------------------------------------

    def _specify(self, start: SessionStart) -> SessionSpec:
        portavoz = start.portavoz.model_dump(exclude_none=True) if start.portavoz else {}
        cerebro = start.cerebro.model_dump(exclude_none=True) if start.cerebro else {}
        return SessionSpec(
            session_id=new_id("sess"),
            language=start.wanted_language or self._config.session.language,
            fixed_language=start.wanted_language or "",
            instructions=portavoz.get("initial_system_prompt") or self._config.session.instructions,
            voice=portavoz.get("voice", ""),
            portavoz=portavoz,
            cerebro=cerebro,
            context=start.context.model_dump(exclude_none=True),
        )

    def _greeting(self, start: SessionStart) -> str:
        return self._config.session.greeting if start.greeting is None else start.greeting

    async def _greet(self, speaker: Speaker, greeting: str) -> None:
        if greeting:
            instructions = f"Saluda diciendo exactamente: «{greeting}»"
            response = {"instructions": instructions, "metadata": {"penny_say": greeting}}
            await speaker.send({"type": "response.create", "response": response})

    def _started(
        self, spec: SessionSpec, mode: Mode, formats: AudioFormats, speaker: Speaker
    ) -> SessionStarted:
        notice = mode.availability().notice
        return SessionStarted(
            session_id=spec.session_id,
            mode=mode.name,
            audio=formats,
            language=spec.language,
            speaker=SpeakerInfo(
                model=str(speaker.info.get("model") or mode.name),
                voice=speaker.info.get("voice"),
                provider=speaker.info.get("provider"),
            ),
            notice=Notice(es=notice["es"], en=notice["en"]) if notice else None,
            capabilities=Capabilities(),
            max_duration_ms=round(self._config.gateway.session_max_s * 1000),
        )

    def _warnings(self, start: SessionStart, mode: Mode) -> list[ServerEvent]:
        """What was put right or left out of the caller's wishes."""
        warnings: list[ServerEvent] = [
            SessionWarning(code="field_ignored", message=f"{name}: is not known", field=name)
            for name in start.ignored
        ]
        if start.protocol_version and start.protocol_version.split(".")[0] != _MAJOR:
            warnings.append(
                SessionWarning(
                    code="version_mismatch",
                    message=f"protocol_version: this is {PROTOCOL_VERSION}",
                    field="protocol_version",
                )
            )
        asked = {"portavoz": start.portavoz, "cerebro": start.cerebro}
        for section, wishes in asked.items():
            model = wishes.model if wishes else None
            current = self._config.models.current(model) if model else None
            if model and current != model and mode.name == "EXTERNAL":
                warnings.append(
                    SessionWarning(
                        code="model_replaced",
                        message=f"{section}.model: '{model}' is retired; using '{current}'",
                        field=f"{section}.model",
                    )
                )
            elif wishes is not None and mode.name != "EXTERNAL" and section == "cerebro":
                warnings.append(
                    SessionWarning(
                        code="field_unused",
                        message=f"{section}: has no meaning in {mode.name}",
                        field=section,
                    )
                )
        return warnings


_MAJOR = PROTOCOL_VERSION.split(".")[0]


def _not_started() -> SessionError:
    return SessionError(
        code="session_not_started",
        message='the first message must be {"type":"session_start", …}',
        retryable=True,
    )


class _Refused(Exception):
    """A session that does not begin: what to say, and how to close."""

    def __init__(
        self, error: PennyError, close_code: CloseCode, *, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(error.message)
        remedy = getattr(error, "remedy", "")
        self.event = SessionError(
            code=error.code,
            message=f"{error.message} ({remedy})" if remedy else error.message,
            retryable=error.retryable,
            field=error.field,
            retry_after_ms=retry_after_ms,
        )
        self.close_code = close_code
