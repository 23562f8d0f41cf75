"""The shared store with this gateway's own to fall back on: Redis lost is no call lost.

A place is taken here first and there then: this gateway alone never holds more than the limit,
however slow the shared store answers. While that is away, live calls go on, new ones are admitted
by this gateway's own count, it is asked again once a second by one caller alone, and everyone is
told: one log line per change, ``shared`` for ``/readyz`` and the metrics. Before it decides
anything again it is told of every live session and of what was charged meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from penny.trust.limits import Denial, Scope
from penny.trust.memory_store import MemoryStore
from penny.trust.store import DayUse, Json, OnHangUp, Place, Store, StoreLost


log = structlog.get_logger()

T = TypeVar("T")

ASK_AGAIN_S = 1.0


@dataclass(slots=True)
class StoreState:
    """Whether the shared store answers, and what was admitted without it; for operators."""

    shared: bool = True
    losses: int = 0
    admitted_alone: int = 0


class ResilientStore:
    """Store that goes on with this gateway's own limits while the shared one is lost.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self, shared: Store, local: MemoryStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._owed: dict[Scope, tuple[float, float]] = {}
        """Use that the shared store has not been told of yet."""
        self._ask_again_s = 0.0
        self.state = StoreState()

    async def admit(self, place: Place) -> Denial | None:
        denial = await self._local.admit(place)
        if denial is not None:
            return denial
        try:
            denial = await self._ask(lambda: self._shared.admit(place))
        except StoreLost:
            self.state.admitted_alone += 1
            return None
        if denial is not None:
            await self._local.cancel(place)
        return denial

    async def renew(self, places: Sequence[Place]) -> None:
        try:
            await self._ask(lambda: self._shared.renew(places))
        except StoreLost:
            return

    async def release(self, place: Place) -> None:
        await self._local.release(place)
        try:
            await self._ask(lambda: self._shared.release(place))
        except StoreLost:
            return  # the lease ends by itself

    async def charge(self, used: Mapping[Scope, tuple[float, float]]) -> tuple[DayUse, ...]:
        alone = await self._local.charge(used)
        try:
            return await self._ask(lambda: self._shared.charge(used))
        except StoreLost:
            for scope, (seconds, usd) in used.items():
                owed_s, owed_usd = self._owed.get(scope, (0.0, 0.0))
                self._owed[scope] = owed_s + seconds, owed_usd + usd
            return alone

    async def list_sessions(self) -> list[Json]:
        try:
            return await self._ask(self._shared.list_sessions)
        except StoreLost:
            return await self._local.list_sessions()

    async def hang_up(self, session_id: str) -> None:
        await self._local.hang_up(session_id)
        try:
            await self._ask(lambda: self._shared.hang_up(session_id))
        except StoreLost:
            return

    async def put_secret(self, digest: str, payload: Json, life_s: int) -> None:
        try:
            await self._ask(lambda: self._shared.put_secret(digest, payload, life_s))
        except StoreLost:
            await self._local.put_secret(digest, payload, life_s)

    async def find_secret(self, digest: str) -> Json | None:
        found = await self._local.find_secret(digest)
        if found is not None:
            return found
        try:
            return await self._ask(lambda: self._shared.find_secret(digest))
        except StoreLost:
            return None

    async def take_secret(self, digest: str) -> bool:
        if await self._local.take_secret(digest):
            return True
        try:
            return await self._ask(lambda: self._shared.take_secret(digest))
        except StoreLost:
            return False

    async def start(self, on_hang_up: OnHangUp) -> None:
        await self._local.start(on_hang_up)
        await self._shared.start(on_hang_up)
        await self.renew(())

    async def aclose(self) -> None:
        await self._local.aclose()
        await self._shared.aclose()

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Raises StoreLost, at once while it is known to be away and another caller asks."""
        if not self.state.shared:
            if self._clock() < self._ask_again_s:
                raise StoreLost("it did not answer a moment ago")
            self._ask_again_s = self._clock() + ASK_AGAIN_S
            await self._come_back()
        try:
            return await question()
        except StoreLost as lost:
            self._ask_again_s = self._clock() + ASK_AGAIN_S
            if self.state.shared:
                self.state.shared = False
                self.state.losses += 1
                reason, rule = str(lost), "limits hold on each gateway alone"
                log.error("shared_store_lost", reason=reason, rule=rule)  # noqa: TRY400
            raise

    async def _come_back(self) -> None:
        """Tell the shared store what it missed. Raises StoreLost."""
        await self._shared.renew(self._local.places())
        while self._owed:
            # Taken out before it is told: what comes meanwhile is owed anew, nothing twice.
            owed, self._owed = self._owed, {}
            try:
                await self._shared.charge(owed)
            except StoreLost:
                for scope, (seconds, usd) in self._owed.items():
                    owed_s, owed_usd = owed.get(scope, (0.0, 0.0))
                    owed[scope] = owed_s + seconds, owed_usd + usd
                self._owed = owed
                raise
        self.state.shared = True
        log.info("shared_store_back")
