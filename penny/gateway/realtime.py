"""`/v1/realtime`: from the upgrade to the session, for any Realtime client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import WSCloseCode, web

from config.schema import Config
from penny.aio.websocket import ServerSocket
from penny.edges.realtime.edge import RealtimeEdge, error_event
from penny.edges.realtime.resumable import ResumableEdge
from penny.edges.socket.wire import HoldSettings, Line
from penny.errors import (
    LimitReached,
    ModeUnavailable,
    PennyError,
    ProtocolError,
    SessionRefused,
    Unauthorized,
)
from penny.gateway.doorway import aborter, host
from penny.gateway.gate import Gate
from penny.gateway.held_sessions import HeldSessions
from penny.gateway.opening import Opener
from penny.gateway.siblings import Siblings
from penny.ids import new_id
from penny.session.broker import Broker
from penny.session.mode import Mode, SessionSpec, Speaker
from penny.trust.client_secrets import ClientSecrets
from penny.trust.identity import Identity
from penny.trust.tenants import Policy


log = structlog.get_logger()

Json = dict[str, Any]

MODEL_MODES = {"penny-self-hosted": "SELF_HOSTED", "penny-external": "EXTERNAL"}
"""Any other model name, ``penny`` included, means the default mode."""
REFUSALS = {"upgrade_required": 426, "rate_limited": 429, "request_timeout": 408}
"""Error code -> HTTP status; any other fault of the client is a 400."""
BODY_WAIT_S = 10.0
RESUME_PROTOCOL = "penny-resume."
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Past the edge's own limit: what is too long is refused by name, what is absurd by a close."""


class RealtimeDoor:
    """Opens sessions for Realtime clients and mints their client secrets.

    Args:
        wall_clock: Unix time in seconds, from which ``expires_at`` follows.
    """

    def __init__(
        self,
        broker: Broker,
        config: Config,
        gate: Gate,
        secrets: ClientSecrets,
        held: HeldSessions,
        wall_clock: Callable[[], float],
        siblings: Siblings | None = None,
    ) -> None:
        self._broker = broker
        self._opener = Opener(broker, config)
        self._config = config
        self._gate = gate
        self._secrets = secrets
        self._held = held
        self._wall_clock = wall_clock
        self._siblings = siblings

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/realtime", self._connect)
        app.router.add_post("/v1/realtime/client_secrets", self._mint)

    # -- sessions -----------------------------------------------------------------------------

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        try:
            self._gate.check_page(request)
            identity = await self._gate.identify(request)
            policy = self._gate.policy(identity)
            token = _resume_token(request)
            if token:
                return await self._resume(request, token, identity, policy)
            policy.check_session(identity.session, "session")
            model = identity.session.get("model") or request.query.get("model") or "penny"
            mode = self._broker.choose(MODEL_MODES.get(model))
            policy.check_mode(mode.name)
            async with self._broker.admit():
                return await self._admit(request, mode, model, identity, policy)
        except PennyError as error:
            return _answer(error)

    async def _admit(
        self, request: web.Request, mode: Mode, model: str, identity: Identity, policy: Policy
    ) -> web.StreamResponse:
        spec = SessionSpec(
            session_id=new_id("sess"),
            language=self._config.session.language,
            instructions=policy.instructions(None, self._config.session.instructions),
            transcripts=False,
            session={name: value for name, value in identity.session.items() if name != "model"},
            tenant=policy.name,
        )
        async with self._gate.admit(spec.session_id, identity, mode.name, RealtimeEdge.name):
            return await self._open(request, mode, model, spec, identity, policy)

    def _socket(self, request: web.Request, policy: Policy) -> web.WebSocketResponse:
        """Not upgraded yet. Raises ProtocolError when nobody asked for a WebSocket."""
        socket = ServerSocket(
            max_msg_size=self._gate.max_message_bytes(policy, MAX_MESSAGE_BYTES),
            heartbeat=self._config.gateway.heartbeat_s,
            compress=False,
            protocols=("realtime",),
        )
        if not socket.can_prepare(request).ok:
            raise ProtocolError(
                "connect with a WebSocket; this is no page", code="upgrade_required"
            )
        return socket

    async def _open(
        self,
        request: web.Request,
        mode: Mode,
        model: str,
        spec: SessionSpec,
        identity: Identity,
        policy: Policy,
    ) -> web.StreamResponse:
        socket = self._socket(request, policy)
        named = MODEL_MODES.get(model) is not None
        speaker = await self._opener.open_begun(mode, spec, named=named, may_use=policy.check_mode)
        try:
            await socket.prepare(request)
            await self._serve(request, socket, mode, model, spec, speaker, identity, policy)
        finally:
            await speaker.aclose()
            if not socket.closed:
                # A client that reads nothing would hold the closing handshake up for ever.
                aborter(request)()
        return socket

    async def _serve(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        mode: Mode,
        model: str,
        spec: SessionSpec,
        speaker: Speaker,
        identity: Identity,
        policy: Policy,
    ) -> None:
        limits = self._gate.session_limits(policy)
        options: Json = {
            "model": model,
            "expires_at": int(self._wall_clock() + limits.max_s),
            "penny_events": request.query.get("penny_events") == "1",
            "check": policy.check_event,
            "rate": self._gate.message_rate(policy),
        }
        resume = self._config.resume
        if request.query.get("penny_resume") != "1" or not resume.hold_s:
            edge = RealtimeEdge(socket, **options)
            edge.open(speaker.info["session"])
            await host(self._broker, mode, spec, edge, speaker, limits)
            return
        hold = HoldSettings(resume.hold_s, max_text_bytes=resume.max_audio_bytes)
        held = ResumableEdge(Line(socket, aborter(request)), hold, **options)
        held.open(speaker.info["session"])
        token = self._held.add(spec.session_id, held, identity)
        held.announce(token)
        try:
            await host(self._broker, mode, spec, held, speaker, limits)
        finally:
            self._held.forget(token)

    async def _resume(
        self, request: web.Request, token: str, identity: Identity, policy: Policy
    ) -> web.StreamResponse:
        received = request.query.get("received", "")
        if not received.isascii() or not received.isdecimal() or len(received) > 15:
            raise ProtocolError(
                "received: add ?received=N, the number of messages you have of this session",
                field="received",
            )
        socket = self._socket(request, policy)
        await socket.prepare(request)
        line = Line(socket, aborter(request))
        owner = self._siblings.owner(token) if self._siblings else None
        try:
            if self._siblings is not None and owner is not None:
                await self._siblings.carry(owner, request, socket)
                return socket
            edge = self._held.resume(token, int(received), line, identity, name=RealtimeEdge.name)
        except ProtocolError as error:
            # A browser reads why only from an open WebSocket.
            await socket.send_json(error_event(error, None))
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        else:
            await edge.read(line)
        return socket

    # -- client secrets -----------------------------------------------------------------------

    async def _mint(self, request: web.Request) -> web.Response:
        try:
            self._gate.check_page(request)
            identity = await self._gate.identify(request)
            if identity.by_secret:
                raise Unauthorized("a client secret cannot mint another; use the API key")
            body = await _read_body(request)
            if isinstance(body.get("session"), dict):
                self._gate.policy(identity).check_session(body["session"], "session")
            secret = await self._secrets.mint(body, identity)
        except PennyError as error:
            return _answer(error)
        return web.json_response(
            {
                "value": secret.value,
                "expires_at": secret.expires_at,
                "session": secret.effective,
            }
        )


def _resume_token(request: web.Request) -> str:
    """As a header, or as browsers can, which set none: as a subprotocol."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    shown = [each.strip() for each in offered if each.strip().startswith(RESUME_PROTOCOL)]
    return request.headers.get("Penny-Resume", "") or "".join(shown[:1]).removeprefix(
        RESUME_PROTOCOL
    )


async def _read_body(request: web.Request) -> Json:
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            body = await request.json() if request.can_read_body else {}
    except TimeoutError:
        raise ProtocolError(
            f"the body did not arrive within {BODY_WAIT_S:g} s", code="request_timeout"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ProtocolError("the body must be a JSON object")
    return body


def _answer(error: PennyError) -> web.Response:
    """An error in OpenAI's shape, with its status."""
    match error:
        case Unauthorized(code="origin_refused"):
            return _refusal(403, error)
        case Unauthorized():
            return _refusal(401, error, code="invalid_api_key")
        case LimitReached(retry_after_s=retry_after_s):
            return _refusal(429, error, {"Retry-After": str(math.ceil(retry_after_s))})
        case SessionRefused():
            return _refusal(503, error, {"Retry-After": "5"})
        case ModeUnavailable():
            return _refusal(503, error, {"Retry-After": "5"} if error.retryable else None)
        case _:
            return _refusal(REFUSALS.get(error.code, 400), error)


def _refusal(
    status: int, error: PennyError, headers: dict[str, str] | None = None, code: str = ""
) -> web.Response:
    fault = {
        "type": "invalid_request_error" if status < 500 else "server_error",
        "code": code or error.code,
        "message": error.message,
        "param": error.field,
    }
    return web.json_response({"error": fault}, status=status, headers=headers)
