"""The gate before every door: which page asks, whose key it shows, what that may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from config.credentials import is_loopback
from config.schema import Config
from penny.errors import ConfigError, Unauthorized
from penny.gateway.session_watch import SessionWatches
from penny.session.session import SessionLimits
from penny.trust.admission import Admission
from penny.trust.client_secrets import SECRET_PREFIX, ClientSecrets
from penny.trust.identity import Identity
from penny.trust.keys import PREFIX, ApiKey, KeyFile
from penny.trust.limits import MessageRate
from penny.trust.origins import is_allowed
from penny.trust.tenants import Policy, Tenants


log = structlog.get_logger()

KEY_PROTOCOLS = ("openai-insecure-api-key.", "penny-key.")
"""How a browser, which cannot set headers, shows a key: as a WebSocket subprotocol."""


class Gate:
    """Args:
    host: the address listened on; beyond loopback every caller shows a key.
    """

    def __init__(
        self,
        config: Config,
        host: str,
        keys: KeyFile,
        secrets: ClientSecrets,
        admission: Admission,
        watches: SessionWatches,
    ) -> None:
        self._config = config
        self._keys = keys
        self._secrets = secrets
        self._tenants = Tenants(config.tenants, config.limits)
        self._admission = admission
        self._watches = watches
        self.needs_key = config.keys.required == "always" or not is_loopback(host)
        self.refused: dict[str, int] = {}

    async def check_exposure(self, host: str) -> None:
        """Refuse to listen where strangers can call before there is a key.

        Raises:
            ConfigError: with the remedy.
        """
        if self.needs_key and not await asyncio.to_thread(self._keys.has_keys):
            raise ConfigError(
                f"{self._config.origin.place('gateway.host')}: {host} is open to others and there "
                "is no API key yet; create one with `python -m penny keys create NAME`, or listen "
                "on 127.0.0.1",
                key="gateway.host",
            )

    def check_page(self, request: web.Request) -> None:
        """Refuse pages of other origins, and names that lead here without being ours.

        Raises:
            Unauthorized: ``origin_refused``.
        """
        allowed = self._config.gateway.allowed_origins
        origin = request.headers.get("Origin")
        if not is_allowed(origin, request.host, allowed):
            self._count("origin")
            raise Unauthorized(
                "this page may not talk to this Penny; name its origin in gateway.allowed_origins",
                code="origin_refused",
                field="Origin",
            )
        # Without keys the only fence is the machine itself: a page whose name was made to lead to
        # 127.0.0.1 (DNS rebinding) shows itself by the name it asks for.
        if not self.needs_key and not _is_own_name(request.host, allowed):
            self._count("host")
            raise Unauthorized(
                "Penny answers without keys only on 127.0.0.1 or localhost",
                code="origin_refused",
                field="Host",
            )

    async def identify(self, request: web.Request) -> Identity:
        """Whose call it is. Raises Unauthorized."""
        value = key_of(request)
        if value.startswith(SECRET_PREFIX):
            return await self._identify_secret(value)
        if value.startswith(f"{PREFIX}_"):
            key = await self._find_key(value)
            if key is not None:
                return Identity(key.tenant, key.id, key.admin)
            self._count("key")
            raise Unauthorized("the API key is unknown or was revoked", field="Authorization")
        if not self.needs_key:
            return Identity(admin=True)
        self._count("key")
        raise Unauthorized(
            "an API key is needed: send Authorization: Bearer penny_…", field="Authorization"
        )

    async def _identify_secret(self, value: str) -> Identity:
        identity = await self._secrets.find(value)
        if identity is not None and (
            not identity.key_id or await self.is_key_alive(identity.key_id)
        ):
            return identity
        self._count("client_secret")
        raise Unauthorized(
            "the client secret is unknown or has expired; mint another one", field="Authorization"
        )

    async def _find_key(self, value: str) -> ApiKey | None:
        """Raises Unauthorized when the file of keys cannot be read: nobody gets in by a fault."""
        try:
            return await asyncio.to_thread(self._keys.find, value)
        except ConfigError as error:
            log.error("keys_unreadable", reason=error.message)  # noqa: TRY400
            self._count("keys_unreadable")
            raise Unauthorized(
                "keys cannot be checked now; try again in a moment", retryable=True
            ) from error

    async def is_key_alive(self, key_id: str) -> bool:
        """Whether a key may go on. While the file cannot be read, who is in stays in."""
        try:
            return await asyncio.to_thread(self._keys.is_alive, key_id)
        except ConfigError as error:
            log.error("keys_unreadable", reason=error.message)  # noqa: TRY400
            return True

    @asynccontextmanager
    async def admit(
        self, session_id: str, identity: Identity, mode: str, edge: str
    ) -> AsyncIterator[None]:
        """Hold a place under every limit of this caller. Raises LimitReached."""
        record = {"mode": mode, "edge": edge, "key_id": identity.key_id or None}
        policy = self.policy(identity)
        async with self._admission.admit(session_id, identity, policy, record) as lease:
            lease.read_usd = self._watches.meter(session_id, mode, lease.place.record)
            yield

    def policy(self, identity: Identity) -> Policy:
        return self._tenants.policy(identity.tenant)

    def session_limits(self, policy: Policy) -> SessionLimits:
        """The narrower of the gateway's and the tenant's."""
        gateway = self._config.gateway
        return SessionLimits(
            max_s=min(gateway.session_max_s, policy.own_limit("session_max_s") or float("inf")),
            idle_s=min(gateway.idle_timeout_s, policy.own_limit("idle_timeout_s") or float("inf")),
        )

    def max_message_bytes(self, policy: Policy, most: int) -> int:
        return round(min(most, policy.own_limit("max_message_bytes") or most))

    def message_rate(self, policy: Policy) -> MessageRate:
        return MessageRate(policy.own_limit("messages_per_s"))

    def _count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        log.info("caller_refused", reason=reason)


def key_of(request: web.Request) -> str:
    """The key a client shows: Bearer header, WebSocket subprotocol, or ``api_key`` query."""
    authorization = request.headers.get("Authorization", "")
    if authorization.startswith("Bearer "):
        return authorization.removeprefix("Bearer ").strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        for prefix in KEY_PROTOCOLS:
            if offered.strip().startswith(prefix):
                return offered.strip().removeprefix(prefix)
    return request.query.get("api_key", "")


def _is_own_name(host: str, allowed: tuple[str, ...]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or "*" in allowed:
        return True
    try:
        return ip_address(name) is not None
    except ValueError:
        return name in {urlsplit(origin).hostname for origin in allowed}
