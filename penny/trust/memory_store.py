"""One gateway's own store. Sessions it is told of live until released: its process is the lease."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from penny.errors import ProtocolError
from penny.trust.limits import Denial, Use, begin, charge, deny, of_day
from penny.trust.store import DayUse, Json, OnHangUp, Place


MAX_SECRETS = 10_000
MAX_SCOPES = 10_000
"""Scopes with no live session are forgotten beyond this, the longest untouched first."""


class MemoryStore:
    """Keeps everything in this process; a restart forgets it, which is the safe side.

    Args:
        wall_clock: seconds since the epoch.
        clock: monotonic seconds: a secret dies no later for a wall clock that was set back.
    """

    def __init__(
        self, wall_clock: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall_clock = wall_clock
        self._clock = clock
        self._uses: dict[str, Use] = {}
        self._places: dict[str, Place] = {}
        self._secrets: dict[str, tuple[float, float, Json]] = {}
        self._on_hang_up: OnHangUp | None = None

    async def admit(self, place: Place) -> Denial | None:
        now_s = self._wall_clock()
        for scope in place.scopes:
            denial = deny(scope, self._use(scope.name), now_s)
            if denial is not None:
                return denial
        self.enter(place)
        return None

    def enter(self, place: Place) -> None:
        """Count a session that another store has admitted."""
        now_s = self._wall_clock()
        for scope in place.scopes:
            self._keep(scope.name, begin(scope, self._use(scope.name), now_s))
        self._places[place.session_id] = place

    async def renew(self, places: Sequence[Place]) -> None:
        return None

    async def release(self, place: Place) -> None:
        if self._places.pop(place.session_id, None) is None:
            return
        for scope in place.scopes:
            use = self._use(scope.name)
            self._uses[scope.name] = Use(
                max(0, use.sessions - 1), use.free_at_s, use.day, use.day_seconds, use.day_usd
            )

    async def charge(self, place: Place, seconds: float, usd: float) -> tuple[DayUse, ...]:
        now_s = self._wall_clock()
        used = []
        for scope in place.scopes:
            use = of_day(charge(self._use(scope.name), seconds, usd, now_s), now_s)
            self._keep(scope.name, use)
            used.append(DayUse(scope.name, use.day_seconds, use.day_usd))
        return tuple(used)

    async def list_sessions(self) -> list[Json]:
        return [place.record for place in self._places.values()]

    async def hang_up(self, session_id: str) -> None:
        if self._on_hang_up is not None:
            self._on_hang_up(session_id)

    async def put_secret(self, digest: str, payload: Json, life_s: int) -> None:
        """Raises ProtocolError when too many are alive."""
        for known in [d for d, (*ends_s, _) in self._secrets.items() if self._is_over(*ends_s)]:
            del self._secrets[known]
        if len(self._secrets) >= MAX_SECRETS:
            raise ProtocolError(
                "too many client secrets are alive; let some expire", code="rate_limited"
            )
        self._secrets[digest] = (self._wall_clock() + life_s, self._clock() + life_s, payload)

    async def find_secret(self, digest: str) -> Json | None:
        *ends_s, payload = self._secrets.get(digest, (0.0, 0.0, {}))
        if self._is_over(*ends_s):
            return None
        return payload

    async def take_secret(self, digest: str) -> bool:
        *ends_s, _ = self._secrets.pop(digest, (0.0, 0.0, {}))
        return not self._is_over(*ends_s)

    async def start(self, on_hang_up: OnHangUp) -> None:
        self._on_hang_up = on_hang_up

    async def aclose(self) -> None:
        return None

    def _is_over(self, wall_s: float, monotonic_s: float) -> bool:
        return wall_s <= self._wall_clock() or monotonic_s <= self._clock()

    def _use(self, name: str) -> Use:
        return self._uses.get(name, Use())

    def _keep(self, name: str, use: Use) -> None:
        self._uses.pop(name, None)
        self._uses[name] = use
        if len(self._uses) > MAX_SCOPES:
            idle = next((n for n, u in self._uses.items() if u.sessions == 0), None)
            if idle is not None:
                del self._uses[idle]
