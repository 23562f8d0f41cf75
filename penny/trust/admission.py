"""A session's place: taken before it opens, renewed and charged while it lives, given back.

One task renews and charges every place of this gateway, so a thousand calls cost one round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from penny.aio.tasks import TaskOwner
from penny.errors import LimitReached
from penny.trust.identity import Identity
from penny.trust.limits import Denial, LimitName, Scope, is_spent
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

KEY_CHECK_S = 2.0
"""A revoked key talks no longer than this."""

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
    charging: asyncio.Task[None] | None = None
    charge_again: bool = False
    spent: LimitName = "usd_per_day"
    """Which of the day's limits is used up, once one is."""
    is_ending: bool = False
    """Its money is used up, and it ends with the answer that it hears."""

    def owed_usd(self) -> float:
        """What it has cost and was not charged."""
        return max(0.0, self.read_usd() - self.charged_usd) if self.read_usd is not None else 0.0


class Admission:
    """Takes and renews places under the limits of keys and tenants, and charges what is used.

    Args:
        clock: the loop's clock, seconds.
        end_session: (session, reason): ends a live session of this gateway.
        dead_keys: of some keys, those that were revoked meanwhile.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        *,
        end_session: EndSession,
        dead_keys: Callable[[frozenset[str]], Awaitable[frozenset[str]]],
        renew_s: float = 10.0,
        node: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._end_session = end_session
        self._dead_keys = dead_keys
        self._renew_s = renew_s
        self._node = node
        self._leases: dict[str, Lease] = {}
        self._leaving: dict[asyncio.Task[None], Place] = {}
        """Places on their way back to the store."""
        self._charging = asyncio.Lock()
        self._in_charge: dict[Scope, tuple[float, float]] = {}
        self._usd: dict[str, float] = {}
        """Of live scopes, their money of the day as the store last told."""
        self._tasks = TaskOwner("admission")
        self.denials: dict[str, int] = {}

    async def start(self) -> None:
        await self._store.start(self._hang_up)
        renewal = self._keep_doing(self.renew, self._renew_s)
        self._tasks.spawn(renewal, name="admission renewal")
        # Of its own: a shared store that hangs must not let a revoked key talk.
        self._tasks.spawn(self._keep_doing(self.end_revoked, KEY_CHECK_S), name="revoked keys")

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
        await self._others_left(place)
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

    async def _others_left(self, place: Place) -> None:
        """Wait for what ended sessions of the same scopes give back and owe: their callers were
        told, and who calls again is faster than a busy store."""
        scopes = set(place.scopes)
        if tasks := [each for each, left in self._leaving.items() if scopes & {*left.scopes}]:
            await asyncio.wait(tasks)

    def _leave(self, lease: Lease) -> None:
        self._leases.pop(lease.place.session_id, None)
        if lease.leaving is None:
            lease.leaving = self._tasks.spawn(self._release(lease), name="place given back")
            self._leaving[lease.leaving] = lease.place
            lease.leaving.add_done_callback(self._leaving.pop)

    async def _release(self, lease: Lease) -> None:
        await self._charge([lease])
        await self._store.release(lease.place)

    async def renew(self) -> None:
        """Renew and charge every place; end sessions whose day is used up."""
        leases = list(self._leases.values())
        await self._store.renew([lease.place for lease in leases])
        for left in [lease for lease in leases if lease.leaving is not None]:
            await self._store.release(left.place)  # it left meanwhile, and was entered once more
        for lease in await self._charge([lease for lease in leases if lease.leaving is None]):
            if not lease.is_ending:
                self._end_session(lease.place.session_id, END_REASONS[lease.spent])

    def charge_soon(self, session_id: str, on_spent: Callable[[], None]) -> None:
        """Charge what a session has cost by now, without waiting for the next renewal.

        Args:
            on_spent: called once, when the day's money of its key or tenant is used up; it ends
                the session. At once where this gateway knows enough to tell: the next answer may
                begin before a busy store has replied.
        """
        lease = self._leases.get(session_id)
        if lease is None or lease.is_ending:
            return
        if any(self._is_money_spent(scope) for scope in lease.place.scopes):
            lease.is_ending = True
            on_spent()
        if lease.charging is not None and not lease.charging.done():
            lease.charge_again = True
            return
        lease.charging = self._tasks.spawn(self._charge_now(lease, on_spent), name="charge")

    def _is_money_spent(self, scope: Scope) -> bool:
        """Whether what is known of the day and not charged yet reach the limit."""
        limit = scope.limits.usd_per_day
        if limit is None:
            return False
        usd = self._usd.get(scope.name, 0.0) + self._in_charge.get(scope, (0.0, 0.0))[1]
        usd += sum(each.owed_usd() for each in self._leases.values() if scope in each.place.scopes)
        return usd >= limit

    async def _charge_now(self, lease: Lease, on_spent: Callable[[], None]) -> None:
        while True:
            lease.charge_again = False
            spent = await self._charge([lease])
            if spent and lease.spent == "usd_per_day" and not lease.is_ending:
                lease.is_ending = True
                on_spent()
            if not lease.charge_again:
                return

    async def end_revoked(self) -> None:
        """End the sessions of keys that were revoked."""
        key_ids = frozenset(lease.identity.key_id for lease in self._leases.values()) - {""}
        dead = await self._dead_keys(key_ids) if key_ids else frozenset()
        for lease in [each for each in self._leases.values() if each.identity.key_id in dead]:
            self._end_session(lease.place.session_id, "operator")

    def _hang_up(self, session_id: str) -> None:
        self._end_session(session_id, "operator")

    async def _keep_doing(self, what: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await what()
            except Exception:
                # A fault of one round must not let every lease of this gateway end.
                log.exception("renewal_failed", sessions=len(self._leases))

    async def _charge(self, leases: Sequence[Lease]) -> list[Lease]:
        """Charge all that was used since; those whose day is used up now (``spent``)."""
        async with self._charging:
            return await self._charge_in_turn(leases)

    async def _charge_in_turn(self, leases: Sequence[Lease]) -> list[Lease]:
        now_s = self._clock()
        used: dict[Scope, tuple[float, float]] = {}
        for lease in leases:
            seconds, cost = now_s - lease.charged_s, lease.owed_usd()
            lease.charged_s, lease.charged_usd = now_s, lease.charged_usd + cost
            for scope in lease.place.scopes:
                before_s, before_usd = used.get(scope, (0.0, 0.0))
                used[scope] = before_s + seconds, before_usd + cost
        self._in_charge = used
        try:
            days = {use.scope: use for use in await self._store.charge(used)} if used else {}
        finally:
            self._in_charge = {}
        live = {scope.name for each in self._leases.values() for scope in each.place.scopes}
        known = self._usd | {name: use.usd for name, use in days.items()}
        self._usd = {name: usd for name, usd in known.items() if name in live}
        over = []
        for lease in leases:
            for scope in lease.place.scopes:
                use = days.get(scope.name)
                spent = is_spent(scope.limits, use.seconds, use.usd) if use else None
                if spent is not None:
                    lease.spent = spent
                    over.append(lease)
                    break
        return over

    def _refusal(self, denial: Denial) -> LimitReached:
        self.denials[denial.limit] = self.denials.get(denial.limit, 0) + 1
        who = "key" if denial.scope.startswith("k:") else "tenant"
        log.info("session_limited", scope=denial.scope, limit=denial.limit)
        return LimitReached(
            SENTENCES[denial.limit].format(who=who),
            code=CODES[denial.limit],
            retry_after_s=denial.retry_after_s,
        )
