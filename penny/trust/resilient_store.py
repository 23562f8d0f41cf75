"""The shared store with this gateway's own to fall back on: Redis lost is no call lost.

While the shared store is away, live calls go on, new ones are admitted under the same limits
counted on this gateway alone, and everyone is told: one log line per change, ``shared`` for
``/readyz`` and the metrics. When it is back, the live sessions are entered again with the next
renewal and what was charged meanwhile is added.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from penny.trust.limits import Denial
from penny.trust.memory_store import MemoryStore
from penny.trust.store import DayUse, Json, OnHangUp, Place, Store, StoreLost


log = structlog.get_logger()

T = TypeVar("T")


@dataclass(slots=True)
class StoreState:
    """Whether the shared store answers, and what was admitted without it; for operators."""

    shared: bool = True
    losses: int = 0
    admitted_alone: int = 0


@dataclass(slots=True)
class _Debt:
    """Use of the same scopes while the shared store was away."""

    place: Place
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(slots=True)
class _Debts:
    """Use that the shared store has not been told of yet."""

    by_scopes: dict[tuple[str, ...], _Debt] = field(default_factory=dict)

    def add(self, place: Place, seconds: float, usd: float) -> None:
        names = tuple(scope.name for scope in place.scopes)
        debt = self.by_scopes.setdefault(names, _Debt(place))
        debt.seconds += seconds
        debt.usd += usd


class ResilientStore:
    """Store that goes on with this gateway's own limits while the shared one is lost.

    Args:
        shared: asked first.
        local: mirrors what this gateway does, and answers alone when ``shared`` is lost.
    """

    def __init__(self, shared: Store, local: MemoryStore) -> None:
        self._shared = shared
        self._local = local
        self._debts = _Debts()
        self.state = StoreState()

    async def admit(self, place: Place) -> Denial | None:
        try:
            denial = await self._try(self._shared.admit(place))
        except StoreLost:
            denial = await self._local.admit(place)
            self.state.admitted_alone += denial is None
            return denial
        if denial is None:
            self._local.enter(place)
        return denial

    async def renew(self, places: Sequence[Place]) -> None:
        try:
            await self._try(self._shared.renew(places))
            await self._settle()
        except StoreLost:
            return

    async def release(self, place: Place) -> None:
        await self._local.release(place)
        try:
            await self._try(self._shared.release(place))
        except StoreLost:
            return  # the lease ends by itself

    async def charge(self, place: Place, seconds: float, usd: float) -> tuple[DayUse, ...]:
        alone = await self._local.charge(place, seconds, usd)
        try:
            return await self._try(self._shared.charge(place, seconds, usd))
        except StoreLost:
            self._debts.add(place, seconds, usd)
            return alone

    async def list_sessions(self) -> list[Json]:
        try:
            return await self._try(self._shared.list_sessions())
        except StoreLost:
            return await self._local.list_sessions()

    async def hang_up(self, session_id: str) -> None:
        await self._local.hang_up(session_id)
        try:
            await self._try(self._shared.hang_up(session_id))
        except StoreLost:
            return

    async def put_secret(self, digest: str, payload: Json, life_s: int) -> None:
        try:
            await self._try(self._shared.put_secret(digest, payload, life_s))
        except StoreLost:
            await self._local.put_secret(digest, payload, life_s)

    async def find_secret(self, digest: str) -> Json | None:
        found = await self._local.find_secret(digest)
        if found is not None:
            return found
        try:
            return await self._try(self._shared.find_secret(digest))
        except StoreLost:
            return None

    async def take_secret(self, digest: str) -> bool:
        if await self._local.take_secret(digest):
            return True
        try:
            return await self._try(self._shared.take_secret(digest))
        except StoreLost:
            return False

    async def start(self, on_hang_up: OnHangUp) -> None:
        await self._local.start(on_hang_up)
        await self._shared.start(on_hang_up)
        await self.renew(())

    async def aclose(self) -> None:
        await self._shared.aclose()

    async def _settle(self) -> None:
        """Charge what was owed from the time alone. Raises StoreLost."""
        while self._debts.by_scopes:
            names, debt = next(iter(self._debts.by_scopes.items()))
            await self._try(self._shared.charge(debt.place, debt.seconds, debt.usd))
            del self._debts.by_scopes[names]

    async def _try(self, question: Awaitable[T]) -> T:
        try:
            answer = await question
        except StoreLost as lost:
            if self.state.shared:
                self.state.shared = False
                self.state.losses += 1
                reason, rule = str(lost), "limits hold on each gateway alone"
                log.error("shared_store_lost", reason=reason, rule=rule)  # noqa: TRY400
            raise
        if not self.state.shared:
            self.state.shared = True
            log.info("shared_store_back")
        return answer
