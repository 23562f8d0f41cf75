"""`/ws`: from the upgrade to the session and back. The only place that starts a SocketEdge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import structlog
from aiohttp import web

from config.schema import Config
from penny.aio.handshake import Upgrade
from penny.aio.websocket import CALLER_MESSAGES_PER_S, SocketConnection
from penny.edges.socket.edge import SocketEdge
from penny.errors import (
    Forbidden,
    ModeUnavailable,
    PennyError,
    ProtocolError,
    SessionRefused,
    Unauthorized,
)
from penny.gateway.gate import Gate, dead_secret_of
from penny.gateway.held_sessions import HeldSessions
from penny.gateway.opening import CallerLeft, Opener, Opening, say_exactly
from penny.gateway.sibling_processes import SiblingProcesses
from penny.gateway.starting import find_warnings, specify
from penny.gateway.webrtc import Peers, SocketMedia
from penny.protocol.codec import dump, parse_client_message
from penny.protocol.error import CloseCode, SessionError
from penny.protocol.session import (
    AudioFormats,
    Capabilities,
    Notice,
    SessionResume,
    SessionStart,
    SessionStarted,
    SpeakerInfo,
)
from penny.session.broker import Broker
from penny.session.mode import Mode, SessionSpec, Speaker
from penny.trust.identity import Identity
from penny.trust.rights import check
from penny.trust.tenants import Policy


log = structlog.get_logger()

Json = dict[str, Any]


MAX_MESSAGE_BYTES = 262_144
"""Past the protocol's own limits: too long is refused by name, absurd by a close."""


class SocketDoor:
    """Opens sessions for WebSocket clients, and takes lost ones up again."""

    def __init__(
        self,
        broker: Broker,
        config: Config,
        gate: Gate,
        clock: Callable[[], float],
        siblings: SiblingProcesses | None = None,
        peers: Peers | None = None,
        notice: Callable[[str, str, str], str] = lambda *_call: "",
    ) -> None:
        self._broker = broker
        self._notice = notice
        self._config = config
        self._gate = gate
        self._clock = clock
        self._siblings = siblings
        self._peers = peers
        self.held = HeldSessions(siblings.token_prefix if siblings else "resume")
        self._opener = Opener(broker, config)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        try:
            self._gate.check_page(request)
        except Unauthorized as error:
            fault = {"code": error.code, "message": error.message}
            return web.json_response({"error": fault}, status=403)
        identity, refusal = await self._identify(request)
        policy = self._gate.policy(identity)
        try:
            upgrade = Upgrade(
                request,
                max_message_bytes=min(MAX_MESSAGE_BYTES, self._gate.max_message_bytes(policy)),
                heartbeat_s=self._config.gateway.heartbeat_s,
                messages_per_s=CALLER_MESSAGES_PER_S,
                subprotocols=("penny",),
            )
        except ProtocolError as error:
            fault = {"code": error.code, "message": error.message}
            return web.json_response({"error": fault}, status=426)
        async with upgrade.accepted() as connection:
            try:
                if refusal is None:
                    start = await self._read_start(connection)
                    await self._serve(request, connection, start, identity, policy)
                else:
                    await self._serve_refused(request, connection, refusal)
            except _Refused as refused:
                connection.send_text(dump(refused.event).encode())
                await connection.close(refused.close_code)
        return upgrade.response

    async def _identify(self, request: web.Request) -> tuple[Identity, _Refused | None]:
        """A browser reads why only from an open WebSocket, so the refusal waits for it."""
        try:
            identity = await self._gate.identify(request)
            check(identity, "sessions:open")
            if identity.session:
                raise Forbidden("this client secret opens its own session, at /v1/realtime alone")
            return identity, None
        except Unauthorized as error:
            return Identity(), _Refused(error)

    async def _serve_refused(
        self, request: web.Request, connection: SocketConnection, refusal: _Refused
    ) -> None:
        """A client secret that was used up or has expired still resumes the session it opened."""
        identity = dead_secret_of(request)
        start = await self._read_start(connection) if identity is not None else None
        if identity is None or not isinstance(start, SessionResume):
            raise refusal
        await self._serve(request, connection, start, identity, self._gate.policy(identity))

    async def _resume(
        self,
        request: web.Request,
        connection: SocketConnection,
        start: SessionResume,
        identity: Identity,
    ) -> None:
        owner = self._siblings.owner(start.resume_token) if self._siblings else None
        if self._siblings is not None and owner is not None:
            first = start.model_dump_json()
            await self._siblings.carry(owner, request, connection, first)
            return
        self.held.resume(start.resume_token, start.received, connection, identity)
        await connection.wait_closed()

    async def _serve(
        self,
        request: web.Request,
        connection: SocketConnection,
        start: SessionStart | SessionResume,
        identity: Identity,
        policy: Policy,
    ) -> None:
        try:
            if isinstance(start, SessionResume):
                await self._resume(request, connection, start, identity)
                return
            spec = specify(start, policy, self._config)
            mode = self._broker.choose(start.mode, spec, policy.check_mode)
            async with self._broker.admit():
                await self._open(connection, start, mode, spec, identity, policy)
        except CallerLeft:
            await connection.close()
        except tuple(_REFUSALS) as error:
            raise _Refused(error) from error

    async def _read_start(self, connection: SocketConnection) -> SessionStart | SessionResume:
        """The first message, which must start or resume; bad ones may be corrected in time."""
        try:
            async with asyncio.timeout(self._config.gateway.start_timeout_s):
                while (message := await connection.receive()) is not None:
                    start = self._parse_start(connection, message)
                    if start is not None:
                        return start
        except TimeoutError:
            error = ProtocolError(
                f"no session_start within {self._config.gateway.start_timeout_s:g} s",
                code="session_not_started",
            )
            raise _Refused(error, CloseCode.START_TIMEOUT) from None
        raise _Refused(ProtocolError("the client left"), CloseCode.NORMAL)

    def _parse_start(
        self, connection: SocketConnection, data: str | bytes
    ) -> SessionStart | SessionResume | None:
        answer = _not_started()
        if isinstance(data, str):
            try:
                message = parse_client_message(data)
            except ProtocolError as error:
                answer = SessionError(
                    code=error.code, message=error.message, retryable=False, field=error.field
                )
            else:
                if isinstance(message, SessionStart | SessionResume):
                    return message
        connection.send_text(dump(answer).encode())
        return None

    async def _open(
        self,
        connection: SocketConnection,
        start: SessionStart,
        mode: Mode,
        spec: SessionSpec,
        identity: Identity,
        policy: Policy,
    ) -> None:
        async with self._gate.admit(spec.session_id, identity, mode.name, SocketEdge.name):
            opened = await self._opener.open(
                connection, mode, spec, named=start.mode is not None, may_use=policy.check_mode
            )
            async with aclosing(opened.speaker):
                # Last of all: what is refused before leaves a single-use secret as it was.
                await self._gate.use_secret(identity)
                await self._run(connection, start, opened, spec, identity, policy)

    async def _run(
        self,
        connection: SocketConnection,
        start: SessionStart,
        opened: Opening,
        spec: SessionSpec,
        identity: Identity,
        policy: Policy,
    ) -> None:
        mode, speaker = opened.mode, opened.speaker
        formats, resume = start.audio.agree(), self._config.resume
        media = SocketMedia(self._peers) if self._peers is not None else None
        edge = SocketEdge(
            connection,
            formats,
            clock=self._clock,
            hold=resume,
            rate=self._gate.message_rate(policy),
            answer_offer=media.take if media is not None else None,
        )
        if media is not None:
            media.edge = edge
        token = self.held.add(spec.session_id, edge, identity) if resume.hold_s else None
        limits = self._gate.session_limits(policy)
        edge.post(self._started(spec, mode, formats, speaker, limits.max_s, token))
        for warning in [*opened.warnings, *find_warnings(start, mode, self._config)]:
            edge.post(warning)
        try:
            told = self._notice(spec.tenant, spec.language, "")
            if line := " ".join(filter(None, (told, self._greeting(start)))):
                speaker.send(say_exactly(line))
            await self._broker.run(mode, spec, edge, speaker, limits)
        finally:
            if token is not None:
                self.held.forget(token)
            if media is not None:
                await media.aclose()

    def _greeting(self, start: SessionStart) -> str:
        return self._config.session.greeting if start.greeting is None else start.greeting

    def _started(
        self,
        spec: SessionSpec,
        mode: Mode,
        formats: AudioFormats,
        speaker: Speaker,
        max_s: float,
        resume_token: str | None,
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
            capabilities=Capabilities.model_validate(
                {**(speaker.info.get("capabilities") or {}), "resume": resume_token is not None}
            ),
            webrtc=self._peers is not None,
            max_duration_ms=round(max_s * 1000),
            resume_token=resume_token,
            resume_within_ms=round(self._config.resume.hold_s * 1000) if resume_token else None,
        )


def _not_started() -> SessionError:
    return SessionError(
        code="session_not_started",
        message='the first message must be {"type":"session_start", …}',
        retryable=True,
    )


_REFUSALS: dict[type[PennyError], CloseCode] = {
    ProtocolError: CloseCode.INVALID_START,
    Unauthorized: CloseCode.UNAUTHORIZED,
    ModeUnavailable: CloseCode.MODE_UNAVAILABLE,
    SessionRefused: CloseCode.SESSION_REFUSED,
}
RETRY_S = 5.0
"""When to try again, where a refusal does not say."""


class _Refused(Exception):
    """A session that does not begin: what to say, and how to close."""

    def __init__(self, error: PennyError, close_code: CloseCode | None = None) -> None:
        super().__init__(error.message)
        remedy = getattr(error, "remedy", "")
        retry_s = getattr(error, "retry_after_s", RETRY_S)
        self.close_code = close_code or next(
            code for kind, code in _REFUSALS.items() if isinstance(error, kind)
        )
        self.event = SessionError(
            code=error.code,
            message=f"{error.message} ({remedy})" if remedy else error.message,
            retryable=error.retryable,
            field=error.field,
            retry_after_ms=round(retry_s * 1000) if isinstance(error, SessionRefused) else None,
        )
