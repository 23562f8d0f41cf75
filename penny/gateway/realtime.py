"""`/v1/realtime`: from the upgrade to the session, for any Realtime client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import structlog
from aiohttp import web

from config.schema import Config
from penny.aio.handshake import Upgrade
from penny.aio.websocket import SocketConnection
from penny.edges.realtime.edge import RealtimeEdge
from penny.errors import (
    Forbidden,
    LimitReached,
    ModeUnavailable,
    PennyError,
    ProtocolError,
    SessionRefused,
    Unauthorized,
)
from penny.gateway.gate import Gate
from penny.gateway.opening import Opener
from penny.ids import new_id
from penny.session.broker import Broker
from penny.session.mode import Mode, SessionSpec, Speaker
from penny.trust.client_secrets import ClientSecrets
from penny.trust.identity import Identity
from penny.trust.rights import check
from penny.trust.tenants import Policy


log = structlog.get_logger()

Json = dict[str, Any]

MODEL_MODES = {"penny-self-hosted": "SELF_HOSTED", "penny-external": "EXTERNAL"}
"""Any other model name means the default mode."""
DEFAULT_MODEL = "penny"
"""The model of a session whose address and configuration name none."""
REFUSALS = {"upgrade_required": 426, "rate_limited": 429, "request_timeout": 408}
"""Error code -> HTTP status; any other fault of the client is a 400."""
BODY_WAIT_S = 10.0
ABSURD = 2
"""So many times the edge's own limit closes: what is too long is refused by name until there."""


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
        wall_clock: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._opener = Opener(broker, config)
        self._config = config
        self._gate = gate
        self._secrets = secrets
        self._wall_clock = wall_clock

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/realtime", self._connect)
        app.router.add_post("/v1/realtime/client_secrets", self._mint)

    @staticmethod
    async def refuse_path(request: web.Request) -> web.Response:
        """The API's answer to an address of its own that leads nowhere."""
        error = ProtocolError(f"Invalid URL ({request.method} {request.path})", code="unknown_url")
        return _refusal(404, error)

    # -- sessions -----------------------------------------------------------------------------

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        try:
            identity = await self._gate.admit_page(request, "sessions:open")
            policy = self._gate.policy(identity)
            policy.check_session(identity.session, "session")
            model = identity.session.get("model") or request.query.get("model") or ""
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
            cerebro={"knowledge_base_ref": policy.collection(self._config.kb.default_ref)},
            transcripts=False,
            session={name: value for name, value in identity.session.items() if name != "model"},
            tenant=policy.name,
        )
        async with self._gate.admit(spec.session_id, identity, mode.name, RealtimeEdge.name):
            return await self._open(request, mode, model, spec, identity, policy)

    async def _open(
        self,
        request: web.Request,
        mode: Mode,
        model: str,
        spec: SessionSpec,
        identity: Identity,
        policy: Policy,
    ) -> web.StreamResponse:
        upgrade = Upgrade(
            request,
            max_message_bytes=ABSURD * self._gate.max_message_bytes(policy),
            heartbeat_s=self._config.gateway.heartbeat_s,
            subprotocols=("realtime",),
        )
        named = MODEL_MODES.get(model) is not None
        speaker = await self._opener.open_begun(mode, spec, named=named, may_use=policy.check_mode)
        async with aclosing(speaker):
            # Last of all: what is refused before leaves a single-use secret as it was.
            await self._gate.use_secret(identity)
            async with upgrade.accepted() as connection:
                await self._serve(request, connection, mode, model, spec, speaker, policy)
        return upgrade.response

    async def _serve(
        self,
        request: web.Request,
        connection: SocketConnection,
        mode: Mode,
        model: str,
        spec: SessionSpec,
        speaker: Speaker,
        policy: Policy,
    ) -> None:
        limits = self._gate.session_limits(policy)
        edge = RealtimeEdge(
            connection,
            model=model or DEFAULT_MODEL,
            may_rename=None if model else lambda name: name not in MODEL_MODES,
            expires_at=int(self._wall_clock() + limits.max_s),
            penny_events=request.query.get("penny_events") == "1",
            check=policy.check_event,
            max_message_bytes=self._gate.max_message_bytes(policy),
            rate=self._gate.message_rate(policy),
        )
        edge.open(speaker.info["session"])
        await self._broker.run(mode, spec, edge, speaker, limits)

    # -- client secrets -----------------------------------------------------------------------

    async def _mint(self, request: web.Request) -> web.Response:
        try:
            self._gate.check_page(request)
            identity = await self._gate.identify(request)
            check(identity, "secrets:mint")
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
        case Forbidden():
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
