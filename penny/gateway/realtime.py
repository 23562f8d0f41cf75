"""`/v1/realtime`: from the upgrade to the session, for any Realtime client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web

from config.schema import Config
from penny.edges.realtime.edge import RealtimeEdge
from penny.errors import ModeUnavailable, PennyError, ProtocolError, SessionRefused
from penny.gateway.client_secrets import ClientSecrets
from penny.gateway.doorway import host
from penny.ids import new_id
from penny.session.broker import Broker
from penny.session.mode import Mode, SessionSpec, Speaker


log = structlog.get_logger()

Json = dict[str, Any]

MODEL_MODES = {"penny-self-hosted": "SELF_HOSTED", "penny-external": "EXTERNAL"}
"""Any other model name, ``penny`` included, means the default mode."""
KEY_PROTOCOL = "openai-insecure-api-key."
SECRET_PREFIX = "ek_"
REFUSALS = {"invalid_api_key": 401, "upgrade_required": 426, "rate_limited": 429}
"""Error code -> HTTP status; any other fault of the client is a 400."""
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
        secrets: ClientSecrets,
        wall_clock: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._config = config
        self._secrets = secrets
        self._wall_clock = wall_clock

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/realtime", self._connect)
        app.router.add_post("/v1/realtime/client_secrets", self._mint)

    # -- sessions -----------------------------------------------------------------------------

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        try:
            wishes = self._session_of(_key_of(request))
            model = wishes.get("model") or request.query.get("model") or "penny"
            mode = self._broker.choose(MODEL_MODES.get(model))
            async with self._broker.admit():
                return await self._open(request, mode, model, wishes)
        except ModeUnavailable as error:
            return _refusal(503, error, {"Retry-After": "5"} if error.retryable else None)
        except SessionRefused as error:
            return _refusal(503, error, {"Retry-After": "5"})
        except ProtocolError as error:
            return _refusal(REFUSALS.get(error.code, 400), error)

    async def _open(
        self, request: web.Request, mode: Mode, model: str, wishes: Json
    ) -> web.StreamResponse:
        spec = SessionSpec(
            session_id=new_id("sess"),
            language=self._config.session.language,
            instructions=self._config.session.instructions,
            transcripts=False,
            session={name: value for name, value in wishes.items() if name != "model"},
        )
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE_BYTES,
            heartbeat=self._config.gateway.heartbeat_s,
            compress=False,
            protocols=("realtime",),
        )
        if not socket.can_prepare(request).ok:
            raise ProtocolError(
                "connect with a WebSocket; this is no page", code="upgrade_required"
            )
        speaker = await self._broker.open(mode, spec)
        try:
            await socket.prepare(request)
            await self._serve(request, socket, mode, model, spec, speaker)
        finally:
            await speaker.aclose()
            if not socket.closed and request.transport is not None:
                # A client that reads nothing would hold the closing handshake up for ever.
                request.transport.abort()
        return socket

    async def _serve(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        mode: Mode,
        model: str,
        spec: SessionSpec,
        speaker: Speaker,
    ) -> None:
        edge = RealtimeEdge(
            socket,
            model=model,
            expires_at=int(self._wall_clock() + self._config.gateway.session_max_s),
            penny_events=request.query.get("penny_events") == "1",
        )
        edge.open(speaker.info["session"])
        await host(self._broker, mode, spec, edge, speaker)

    def _session_of(self, key: str) -> Json:
        """The session a client secret is bound to; {} for any other key."""
        if not key.startswith(SECRET_PREFIX):
            return {}
        secret = self._secrets.find(key)
        if secret is None:
            raise ProtocolError(
                "the client secret is unknown or has expired; mint another one",
                code="invalid_api_key",
            )
        return secret.session

    # -- client secrets -----------------------------------------------------------------------

    async def _mint(self, request: web.Request) -> web.Response:
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                raise ProtocolError("the body must be a JSON object")
            secret = self._secrets.mint(body)
        except ValueError:
            return _refusal(400, ProtocolError("the body is not JSON"))
        except ProtocolError as error:
            return _refusal(REFUSALS.get(error.code, 400), error)
        return web.json_response(
            {
                "value": secret.value,
                "expires_at": secret.expires_at,
                "session": secret.effective,
            }
        )


def _key_of(request: web.Request) -> str:
    """The key a client shows: Bearer header, WebSocket subprotocol, or ``api_key`` query."""
    authorization = request.headers.get("Authorization", "")
    if authorization.startswith("Bearer "):
        return authorization.removeprefix("Bearer ").strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(KEY_PROTOCOL):
            return offered.strip().removeprefix(KEY_PROTOCOL)
    return request.query.get("api_key", "")


def _refusal(status: int, error: PennyError, headers: dict[str, str] | None = None) -> web.Response:
    fault = {
        "type": "invalid_request_error" if status < 500 else "server_error",
        "code": error.code,
        "message": error.message,
        "param": error.field,
    }
    return web.json_response({"error": fault}, status=status, headers=headers)
