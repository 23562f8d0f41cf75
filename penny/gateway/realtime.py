"""`/v1/realtime`: from the upgrade to the session, for any Realtime client."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog
from aiohttp import web

from config.schema import Config
from penny.aio.handshake import Upgrade
from penny.aio.websocket import CALLER_MESSAGES_PER_S
from penny.dense import check_values
from penny.edges.realtime.edge import EventConnection, RealtimeEdge
from penny.edges.webrtc.edge import WebRtcEdge
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
from penny.gateway.opening import Notice, Opener, say_exactly
from penny.ids import new_id
from penny.realtime.session_config import TRANSCRIPTION
from penny.session.broker import Broker
from penny.session.edge import Edge
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
REFUSALS = {
    "call_not_found": 404,
    "upgrade_required": 426,
    "rate_limited": 429,
    "request_timeout": 408,
}
"""Error code -> HTTP status; any other fault of the client is a 400."""
BODY_WAIT_S = 10.0
ABSURD = 2
"""So many times the edge's own limit closes: what is too long is refused by name until there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A session that a Realtime client asked for, and by which right it may have it."""

    identity: Identity
    policy: Policy
    mode: Mode
    model: str
    spec: SessionSpec
    penny_events: bool


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A WebRTC call that other connections may join."""

    asked: Asked
    edge: WebRtcEdge

    def is_of(self, identity: Identity) -> bool:
        """Whether it was made by this key, or by a client secret of it."""
        owner = self.asked.identity
        return (owner.tenant, owner.key_id) == (identity.tenant, identity.key_id)


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
        notice: Notice = lambda _tenant, _language, _number: "",
    ) -> None:
        self._broker = broker
        self._notice = notice
        self._opener = Opener(broker, config)
        self._config = config
        self._gate = gate
        self._secrets = secrets
        self.wall_clock = wall_clock
        self.calls: dict[str, LiveCall] = {}

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/realtime", self._connect)
        app.router.add_post("/v1/realtime/client_secrets", self._mint)

    @staticmethod
    async def refuse_path(request: web.Request) -> web.Response:
        """The API's answer to an address of its own that leads nowhere; one with a slash too many,
        as semantic-kernel makes of a base URL, leads on (308: method and body stay)."""
        if "//" in request.path:
            path = re.sub("/{2,}", "/", request.rel_url.raw_path)
            wanted = request.rel_url.with_path(path, encoded=True, keep_query=True)
            raise web.HTTPPermanentRedirect(wanted)
        error = ProtocolError(f"Invalid URL ({request.method} {request.path})", code="unknown_url")
        return _refusal(404, error)

    # -- sessions -----------------------------------------------------------------------------

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        try:
            if call_id := request.query.get("call_id"):
                return await self._join(request, call_id)
            asked = await self.ask(request)
            # Before a speaker is: what is no upgrade costs none, and no single-use secret.
            upgrade = self._upgrade(request, asked.policy)
            async with self.opened(asked) as speaker, upgrade.accepted() as connection:
                edge = self.edge(asked, connection)
                edge.open(speaker.info["session"])
                await self.run(asked, edge, speaker)
            return upgrade.response
        except PennyError as error:
            return refuse(error)

    async def ask(self, request: web.Request, session: Json | None = None) -> Asked:
        """The session that this client wants and may have.

        Args:
            session: asked for in the request's body; one that a client secret is bound to wins.

        Raises:
            PennyError: it may not, or no such mode talks now.
        """
        identity = await self._gate.admit_page(request, "sessions:open")
        policy = self._gate.policy(identity)
        wanted = {**(session or {}), **identity.session}
        if not identity.secret and request.query.get("intent") == TRANSCRIPTION:
            wanted["type"] = TRANSCRIPTION
        policy.check_session(wanted, "session")
        model = wanted.pop("model", None) or request.query.get("model") or ""
        offered = policy.actions(self._config.actions.offered)
        spec = SessionSpec(
            session_id=new_id("sess"),
            language=self._config.session.language,
            instructions=policy.instructions(None, self._config.session.instructions),
            cerebro={"knowledge_base_ref": policy.collection(self._config.kb.default_ref)},
            transcripts=False,
            session=wanted,
            context={"available_actions": offered} if offered else {},
            tenant=policy.name,
        )
        mode = self._broker.choose(MODEL_MODES.get(model), spec, policy.check_mode)
        return Asked(identity, policy, mode, model, spec, request.query.get("penny_events") == "1")

    @asynccontextmanager
    async def opened(
        self, asked: Asked, edge: str = RealtimeEdge.name, *, holds_playback: bool = False
    ) -> AsyncIterator[Speaker]:
        """Hold a place under every limit and a speaker for that session; it begins in the block.

        Args:
            holds_playback: as ``SessionSpec`` says.

        Raises:
            PennyError: there is no place, or no speaker.
        """
        spec = replace(asked.spec, holds_playback=holds_playback)
        async with (
            self._broker.admit(),
            self._gate.admit(spec.session_id, asked.identity, asked.mode.name, edge),
        ):
            speaker = await self._opener.open_begun(
                asked.mode,
                spec,
                named=MODEL_MODES.get(asked.model) is not None,
                may_use=asked.policy.check_mode,
            )
            async with aclosing(speaker):
                # Last of all: what is refused before leaves a single-use secret as it was.
                await self._gate.use_secret(asked.identity)
                yield speaker

    def edge(self, asked: Asked, connection: EventConnection) -> RealtimeEdge:
        """The client's events on this connection."""
        limits = self._gate.session_limits(asked.policy)
        return RealtimeEdge(
            connection,
            session_id=asked.spec.session_id,
            model=asked.model or DEFAULT_MODEL,
            may_rename=None if asked.model else lambda name: name not in MODEL_MODES,
            expires_at=int(self.wall_clock() + limits.max_s),
            penny_events=asked.penny_events,
            check=asked.policy.check_event,
            max_message_bytes=self._gate.max_message_bytes(asked.policy),
            rate=self._gate.message_rate(asked.policy),
        )

    async def run(self, asked: Asked, edge: Edge, speaker: Speaker) -> None:
        """Carry the session until it ends."""
        limits = self._gate.session_limits(asked.policy)
        line = self._notice(asked.spec.tenant, asked.spec.language, "")
        if line and asked.spec.kind != TRANSCRIPTION:  # in which nothing is said
            speaker.send(say_exactly(line))
        await self._broker.run(asked.mode, asked.spec, edge, speaker, limits)

    async def _join(self, request: web.Request, call_id: str) -> web.StreamResponse:
        """Let another connection of its key take part in a WebRTC call. Raises PennyError."""
        call = self.find_call(await self.identify(request), call_id)
        upgrade = self._upgrade(request, call.asked.policy)
        async with upgrade.accepted() as connection:
            side = self.edge(call.asked, connection)
            call.edge.attach(side)
            await connection.wait_closed()
            call.edge.detach(side)
        return upgrade.response

    async def identify(self, request: web.Request) -> Identity:
        """Whose request it is. Raises Unauthorized."""
        return await self._gate.admit_page(request, "sessions:open")

    def find_call(self, identity: Identity, call_id: str) -> LiveCall:
        """The caller's own WebRTC call. Raises ProtocolError ``call_not_found``."""
        call = self.calls.get(call_id)
        if call is None or not call.is_of(identity):
            raise ProtocolError(
                f"call_id: no call '{call_id}' lives here", code="call_not_found", field="call_id"
            )
        return call

    def _upgrade(self, request: web.Request, policy: Policy) -> Upgrade:
        return Upgrade(
            request,
            max_message_bytes=ABSURD * self._gate.max_message_bytes(policy),
            heartbeat_s=self._config.gateway.heartbeat_s,
            messages_per_s=CALLER_MESSAGES_PER_S,
            subprotocols=("realtime",),
        )

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
            return refuse(error)
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
            raw = await request.read()
    except TimeoutError:
        raise ProtocolError(
            f"the body did not arrive within {BODY_WAIT_S:g} s", code="request_timeout"
        ) from None
    check_values(raw)
    try:
        body = json.loads(raw) if raw else {}
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ProtocolError("the body must be a JSON object")
    return body


def refuse(error: PennyError) -> web.Response:
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
