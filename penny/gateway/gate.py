"""The gate before every door: which page asks, whose key it shows, what that may do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from config.credentials import is_loopback
from config.schema import Config
from penny.errors import ConfigError, Forbidden, Unauthorized
from penny.gateway.session_watch import SessionWatches
from penny.ids import digest_of
from penny.session.endings import GRACE_S
from penny.session.session import SessionLimits
from penny.trust.admission import Admission
from penny.trust.client_secrets import SECRET_PREFIX, ClientSecrets
from penny.trust.house_key import house_key_path, make_house_key
from penny.trust.identity import DEFAULT_TENANT, Identity
from penny.trust.keys import PREFIX, ApiKey, KeyFile
from penny.trust.limits import MessageRate
from penny.trust.origins import is_allowed
from penny.trust.rights import CALLER, HOUSE, SECRET_RIGHTS, allows, check, rights_of
from penny.trust.sign_ins import PERSON, SignIn, SignIns, csrf_of, is_same
from penny.trust.tenants import Policy, Tenants


log = structlog.get_logger()

KEY_PROTOCOLS = ("openai-insecure-api-key.", "penny-key.")
"""How a browser, which cannot set headers, shows a key: as a WebSocket subprotocol."""

COOKIE = "penny_page"
CSRF_HEADER = "X-Penny-CSRF"
CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")
HOUSE_KEY_ID = "house"


class Gate:
    """Decides which page may ask, which key a caller shows, and what that key may do.

    Args:
        host: the address listened on; beyond loopback every caller shows a key.
    """

    def __init__(
        self,
        config: Config,
        host: str,
        keys: KeyFile,
        secrets: ClientSecrets,
        sign_ins: SignIns,
        admission: Admission,
        watches: SessionWatches,
    ) -> None:
        self._config = config
        self._keys = keys
        self._secrets = secrets
        self._sign_ins = sign_ins
        self._tenants = Tenants(config.tenants, config.limits, config.privacy.mcp_servers)
        self._admission = admission
        self._watches = watches
        self.needs_key = config.keys.required == "always" or not is_loopback(host)
        self.refused: dict[str, int] = {}
        self._house_key = ""
        if not self.needs_key:
            path = house_key_path(config.resolve(config.keys.file))
            self._house_key = make_house_key(path, os.environ)

    async def check_exposure(self, host: str) -> None:
        """Refuse to listen beyond loopback before there is a key.

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
            Forbidden: ``origin_refused``.
        """
        allowed = self._config.gateway.allowed_origins
        origin = request.headers.get("Origin")
        if not is_allowed(origin, request.host, allowed):
            self.count_refusal("origin")
            raise Forbidden(
                "this page may not talk to this Penny; name its origin in gateway.allowed_origins",
                code="origin_refused",
                field="Origin",
            )
        # Without keys the only fence is the machine itself: a page whose name was made to lead to
        # 127.0.0.1 (DNS rebinding) shows itself by the name it asks for.
        if not self.needs_key and not _is_own_name(request.host, allowed):
            self.count_refusal("host")
            raise Forbidden(
                "Penny answers without keys only on 127.0.0.1 or localhost",
                code="origin_refused",
                field="Host",
            )

    async def admit_page(self, request: web.Request, right: str) -> Identity:
        """Whose call it is, from a page that may ask, and has ``right``.

        A client secret is made for pages wherever they are from: who shows a valid one may ask.

        Raises:
            Unauthorized: as ``check_page``, ``identify`` and ``rights.check``.
        """
        if not key_of(request).startswith(SECRET_PREFIX):
            self.check_page(request)
        who = await self.identify(request)
        check(who, right)
        return who

    async def identify(self, request: web.Request) -> Identity:
        """Who asks. Raises Unauthorized, and Forbidden for a change without its CSRF token."""
        value = key_of(request)
        if value.startswith(SECRET_PREFIX):
            return await self._identify_secret(value)
        if value.startswith(f"{PREFIX}_"):
            return await self.identify_key(value)
        cookie = "" if value else request.cookies.get(COOKIE, "")
        who = await self._identify_page(cookie) if cookie and self._is_own_page(request) else None
        if who is not None:
            given = request.headers.get(CSRF_HEADER, "")
            if request.method not in CHANGES_NOTHING and not is_same(given, who.csrf):
                self.count_refusal("csrf")
                raise Forbidden(
                    f"a page sends its token with what it changes: {CSRF_HEADER}",
                    code="csrf_refused",
                    field=CSRF_HEADER,
                )
            return who
        if not self.needs_key:
            return Identity(rights=CALLER)
        self.count_refusal("key")
        raise Unauthorized(
            "an API key is needed: send Authorization: Bearer penny_…", field="Authorization"
        )

    def _is_own_page(self, request: web.Request) -> bool:
        """Whether a cookie counts: ``*`` opens Penny to every page, and lends none a person."""
        named = [each for each in self._config.gateway.allowed_origins if each != "*"]
        return is_allowed(request.headers.get("Origin"), request.host, named)

    async def identify_key(self, value: str) -> Identity:
        """Whose key it is. Raises Unauthorized."""
        if self._house_key and is_same(value, self._house_key):
            return Identity(DEFAULT_TENANT, HOUSE_KEY_ID, HOUSE)
        key = await self._find_key(value) if value.startswith(f"{PREFIX}_") else None
        if key is None:
            self.count_refusal("key")
            raise Unauthorized("the API key is unknown or was revoked", field="Authorization")
        return self._holder(key)

    def _holder(self, key: ApiKey) -> Identity:
        return Identity(key.tenant, key.id, self._within(key.tenant, key.rights))

    def _within(self, tenant: str, rights: frozenset[str]) -> frozenset[str]:
        """Rights, as far as the tenant's go."""
        most = self._tenants.policy(tenant).section.rights
        return rights & frozenset(most) if most else rights

    async def _identify_page(self, cookie: str) -> Identity | None:
        """Who signed in; None when that is over, or the key was revoked since."""
        known = await asyncio.to_thread(self._sign_ins.find, cookie)
        if known is None:
            return None
        if known.key_id == HOUSE_KEY_ID:
            house = Identity(DEFAULT_TENANT, HOUSE_KEY_ID, HOUSE, csrf=csrf_of(cookie))
            return house if self._house_key else None
        if known.group:
            return self._member(known, csrf_of(cookie))
        key = (await self._living_keys() or {}).get(known.key_id)
        return None if key is None else replace(self._holder(key), csrf=csrf_of(cookie))

    def _member(self, known: SignIn, csrf: str) -> Identity | None:
        """Who signed in at a provider, with the rights that their group has by now."""
        openid = self._config.sign_in.openid
        group = openid.groups.get(known.group) if openid is not None else None
        if group is None or group.tenant != known.tenant:
            return None
        rights = self._within(group.tenant, rights_of(group.role))
        return Identity(group.tenant, known.key_id, rights, csrf=csrf)

    async def _identify_secret(self, value: str) -> Identity:
        identity = await self._secrets.find(value)
        if identity is not None and await self._may_lend(identity.key_id):
            return replace(identity, rights=SECRET_RIGHTS)
        self.count_refusal("client_secret")
        raise Unauthorized(
            "the client secret is unknown or has expired; mint another one", field="Authorization"
        )

    async def has(self, request: web.Request, right: str) -> bool:
        """Whether who asks has a right, for routes that tell them more than others."""
        if not (key_of(request) or request.cookies.get(COOKIE)) and self.needs_key:
            return False
        try:
            self.check_page(request)
            return allows(await self.identify(request), right)
        except Unauthorized:
            return False

    async def use_secret(self, identity: Identity) -> None:
        """Use up a single-use secret: the session that it opens begins now. Raises Unauthorized."""
        if not await self._secrets.use(identity):
            self.count_refusal("client_secret")
            raise Unauthorized(
                "the client secret has opened its session; mint another one", field="Authorization"
            )

    async def _find_key(self, value: str) -> ApiKey | None:
        """Raises Unauthorized when the file of keys cannot be read: a fault admits no caller."""
        try:
            return await asyncio.to_thread(self._keys.find, value)
        except ConfigError as error:
            log.error("keys_unreadable", reason=error.message)  # noqa: TRY400
            self.count_refusal("keys_unreadable")
            raise Unauthorized(
                "keys cannot be checked now; try again in a moment", retryable=True
            ) from error

    async def dead_keys(self, key_ids: frozenset[str]) -> frozenset[str]:
        """Those of the keys that were revoked. While the file cannot be read, none was."""
        living = await self._living_keys()
        key_ids = frozenset(each for each in key_ids if not each.startswith(PERSON))
        return key_ids - set(living) - {HOUSE_KEY_ID} if living is not None else frozenset()

    async def _may_lend(self, key_id: str) -> bool:
        """Whether the key that made a client secret still opens anything."""
        if key_id in ("", HOUSE_KEY_ID):
            return not self.needs_key
        if key_id.startswith(PERSON):
            return self._config.sign_in.openid is not None
        living = await self._living_keys()
        return living is not None and key_id in living

    async def _living_keys(self) -> dict[str, ApiKey] | None:
        """None when the file of keys cannot be read."""
        try:
            return await asyncio.to_thread(self._keys.alive)
        except ConfigError as error:
            log.error("keys_unreadable", reason=error.message)  # noqa: TRY400
            return None

    @asynccontextmanager
    async def admit(
        self, session_id: str, identity: Identity, mode: str, edge: str
    ) -> AsyncIterator[None]:
        """Hold a place under every limit of this caller. Raises LimitReached."""
        record = {"mode": mode, "edge": edge, "key_id": identity.key_id or None}
        policy = self.policy(identity)
        async with self._admission.admit(session_id, identity, policy, record) as lease:
            with self._watches.admitted(session_id, mode, lease.place.record) as price:
                lease.read_usd = price.usd
                yield

    def tenant_of(self, session_id: str) -> str:
        """Whose a live session is. Raises KeyError."""
        return self._watches.live[session_id].tenant

    def policy(self, identity: Identity) -> Policy:
        return self._tenants.policy(identity.tenant)

    def session_limits(self, policy: Policy) -> SessionLimits:
        """The narrower of the gateway's and the tenant's."""
        gateway = self._config.gateway
        return SessionLimits(
            max_s=min(gateway.session_max_s, policy.own_limit("session_max_s") or float("inf")),
            idle_s=min(gateway.idle_timeout_s, policy.own_limit("idle_timeout_s") or float("inf")),
            grace_s=GRACE_S,
        )

    def max_message_bytes(self, policy: Policy) -> int:
        """The narrower of the gateway's and the tenant's."""
        most = self._config.gateway.max_message_bytes
        return round(min(most, policy.own_limit("max_message_bytes") or most))

    def message_rate(self, policy: Policy) -> MessageRate:
        """The narrower of the gateway's and the tenant's."""
        most = self._config.gateway.messages_per_s
        return MessageRate(min(most, policy.own_limit("messages_per_s") or most))

    def count_refusal(self, reason: str) -> None:
        """Once for each caller who is turned away."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        log.info("caller_refused", reason=reason)


def dead_secret_of(request: web.Request) -> Identity | None:
    """The identity of a client secret that opens nothing any more: it may still resume what it
    opened. None where no secret is shown."""
    value = key_of(request)
    return Identity(tenant="", secret=digest_of(value)) if value.startswith(SECRET_PREFIX) else None


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
