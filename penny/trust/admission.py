"""A session's place: taken before it opens, renewed and charged while it lives, given back.

One task renews every place of this gateway, so a thousand calls cost one round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from penny.aio.tasks import TaskOwner
from penny.errors import LimitReached
from penny.trust.identity import Identity
from penny.trust.limits import Denial, LimitName, is_spent
from penny.trust.store import Place, Store
from penny.trust.tenants import Policy


log = structlog.get_logger()

Json = dict[str, Any]

CODES: dict[LimitName, str] = {
    "max_sessions": "too_many_sessions",
    "sessions_per_minute": "too_many_new_sessions",
    "minutes_per_day": "minutes_spent",
    "usd_per_day": "budget_spent",
}
SENTENCES: dict[LimitName, str] = {
    "max_sessions": "all sessions of this {who} are taken",
    "sessions_per_minute": "this {who} opens sessions too fast",
    "minutes_per_day": "this {who} has used its minutes of today",
    "usd_per_day": "this {who} has used its money of today",
}
END_REASONS: dict[LimitName, str] = {"minutes_per_day": "time_limit", "usd_per_day": "cost_limit"}

EndSession = Callable[[str, str], bool]


@dataclass(slots=True)
class Lease:
    """The place of one admitted session, and what was charged for it so far."""

    place: Place
    identity: Identity
    charged_s: float
    charged_usd: float = 0.0
    read_usd: Callable[[], float] | None = None
    """How much the session has cost by now, in US dollars; None until it runs."""
    leaving: asyncio.Task[None] | None = None
    """Gives the place back; None while the session lives."""


class Admission:
    """Takes and renews places under the limits of keys and tenants, and charges what is used.

    Args:
        clock: the loop's clock, seconds.
        end_session: (session, reason): ends a live session of this gateway.
        is_key_alive: whether a key has not been revoked meanwhile.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        *,
        end_session: EndSession,
        is_key_alive: Callable[[str], Awaitable[bool]],
        renew_s: float = 10.0,
        node: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._end_session = end_session
        self._is_key_alive = is_key_alive
        self._renew_s = renew_s
        self._node = node
        self._leases: dict[str, Lease] = {}
        self._tasks = TaskOwner("admission")
        self.denials: dict[str, int] = {}

    async def start(self) -> None:
        await self._store.start(self._hang_up)
        self._tasks.spawn(self._keep_renewing(), name="admission renewal")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._store.aclose()

    @asynccontextmanager
    async def admit(
        self, session_id: str, identity: Identity, policy: Policy, record: Json
    ) -> AsyncIterator[Lease]:
        """Hold a place for one session. Raises LimitReached."""
        shown = {"session_id": session_id, "node": self._node, "tenant": policy.name, **record}
        place = Place(session_id, policy.scopes(identity), shown)
        denial = await self._store.admit(place)
        if denial is not None:
            raise self._refusal(denial)
        now_s = self._clock()
        lease = Lease(place, identity, now_s)
        self._leases[session_id] = lease
        try:
            yield lease
        finally:
            self._leave(lease)
            assert lease.leaving is not None
            await asyncio.shield(lease.leaving)

    def session_ended(self, session_id: str) -> None:
        """Begin to give a place back: before the caller is told that the session is over, so that
        the next call finds it free."""
        lease = self._leases.get(session_id)
        if lease is not None:
            self._leave(lease)

    def _leave(self, lease: Lease) -> None:
        self._leases.pop(lease.place.session_id, None)
        if lease.leaving is None:
            lease.leaving = self._tasks.spawn(self._release(lease), name="place given back")

    async def _release(self, lease: Lease) -> None:
        await self._store.release(lease.place)
        await self._charge(lease)

    async def renew(self) -> None:
        """Renew and charge every place; end sessions whose key or day is used up."""
        leases = list(self._leases.values())
        await self._store.renew([lease.place for lease in leases])
        for key_id in {lease.identity.key_id for lease in leases if lease.identity.key_id}:
            if not await self._is_key_alive(key_id):
                for lease in leases:
                    if lease.identity.key_id == key_id:
                        self._end_session(lease.place.session_id, "operator")
        for lease in leases:
            if lease.place.session_id in self._leases:
                await self._charge(lease)

    def _hang_up(self, session_id: str) -> None:
        self._end_session(session_id, "operator")

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._renew_s)
            try:
                await self.renew()
            except Exception:
                # A fault of one round must not let every lease of this gateway end.
                log.exception("renewal_failed", sessions=len(self._leases))

    async def _charge(self, lease: Lease) -> None:
        now_s = self._clock()
        usd = lease.charged_usd
        if lease.read_usd is not None:
            usd = max(usd, lease.read_usd())
        seconds, cost = now_s - lease.charged_s, usd - lease.charged_usd
        lease.charged_s, lease.charged_usd = now_s, usd
        used = {use.scope: use for use in await self._store.charge(lease.place, seconds, cost)}
        for scope in lease.place.scopes:
            use = used.get(scope.name)
            spent = is_spent(scope.limits, use.seconds, use.usd) if use else None
            if spent is not None:
                self._end_session(lease.place.session_id, END_REASONS[spent])

    def _refusal(self, denial: Denial) -> LimitReached:
        self.denials[denial.limit] = self.denials.get(denial.limit, 0) + 1
        who = "key" if denial.scope.startswith("k:") else "tenant"
        log.info("session_limited", scope=denial.scope, limit=denial.limit)
        return LimitReached(
            SENTENCES[denial.limit].format(who=who),
            code=CODES[denial.limit],
            retry_after_s=denial.retry_after_s,
        )
