"""One gateway's own store. Sessions it is told of live until released: its process is the lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import orjson

from penny.trust.ledger import DayLedger
from penny.trust.limits import Denial, Scope, Use, begin, cancel, charge, day_of, deny, of_day
from penny.trust.store import DayUse, Json, OnHangUp, Place, check_room
from penny.writable import dump_json


MAX_SCOPES = 10_000
"""Scopes with no live session are forgotten beyond this, the longest untouched first."""


class MemoryStore:
    """Keeps everything in this process, and the day's use in its ledger too.

    Args:
        wall_clock: seconds since the epoch.
        clock: monotonic seconds: a secret dies no later for a wall clock that was set back.
        ledger: where the day's use outlives the process; None forgets it.
    """

    def __init__(
        self,
        wall_clock: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        ledger: DayLedger | None = None,
    ) -> None:
        self._wall_clock = wall_clock
        self._clock = clock
        self._ledger = ledger
        self._uses: dict[str, Use] = {}
        self._places: dict[str, Place] = {}
        self._secrets: dict[str, tuple[float, float, bytes, str]] = {}
        self._on_hang_up: OnHangUp | None = None

    async def admit(self, place: Place) -> Denial | None:
        await self._read_day(place.scopes)
        now_s = self._wall_clock()
        for scope in place.scopes:
            denial = deny(scope, self._use(scope.name), now_s)
            if denial is not None:
                return denial
        for scope in place.scopes:
            self._keep(scope.name, begin(scope, self._use(scope.name), now_s))
        self._places[place.session_id] = place
        return None

    async def cancel(self, place: Place) -> None:
        """Undo an admission that another store has denied."""
        if self._places.pop(place.session_id, None) is not None:
            for scope in place.scopes:
                self._uses[scope.name] = cancel(scope, self._use(scope.name))

    def places(self) -> list[Place]:
        """Of every session that was admitted and not released."""
        return list(self._places.values())

    async def renew(self, places: Sequence[Place]) -> None:
        return None

    async def release(self, place: Place) -> None:
        if self._places.pop(place.session_id, None) is None:
            return
        for scope in place.scopes:
            use = self._use(scope.name)
            self._uses[scope.name] = replace(use, sessions=max(0, use.sessions - 1))

    async def charge(self, used: Mapping[Scope, tuple[float, float]]) -> tuple[DayUse, ...]:
        now_s = self._wall_clock()
        for scope, (seconds, usd) in used.items():
            self._keep(scope.name, charge(self._use(scope.name), seconds, usd, now_s))
        if self._ledger is not None:
            limited = {scope.name: use for scope, use in used.items() if scope.limits.of_day}
            if limited:
                self._note(await asyncio.to_thread(self._ledger.add, day_of(now_s), limited))
        uses = {scope.name: of_day(self._use(scope.name), now_s) for scope in used}
        return tuple(DayUse(name, use.day_seconds, use.day_usd) for name, use in uses.items())

    async def list_sessions(self) -> list[Json]:
        return [place.record for place in self._places.values()]

    async def hang_up(self, session_id: str) -> None:
        if self._on_hang_up is not None:
            self._on_hang_up(session_id)

    async def put_secret(self, digest: str, payload: Json, life_s: int) -> None:
        over = [name for name, one in self._secrets.items() if self._is_over(one[0], one[1])]
        for name in over:
            del self._secrets[name]
        data, tenant = dump_json(payload), payload["tenant"]
        own = [len(one) for *_, one, whose in self._secrets.values() if whose == tenant]
        check_room(len(own) + 1, sum(own) + len(data))
        ends_s = self._wall_clock() + life_s, self._clock() + life_s
        self._secrets[digest] = (*ends_s, data, tenant)

    async def find_secret(self, digest: str) -> Json | None:
        known = self._secrets.get(digest)
        if known is None or self._is_over(known[0], known[1]):
            return None
        payload: Json = orjson.loads(known[2])
        return payload

    async def take_secret(self, digest: str) -> bool:
        known = self._secrets.pop(digest, None)
        return known is not None and not self._is_over(known[0], known[1])

    async def start(self, on_hang_up: OnHangUp) -> None:
        self._on_hang_up = on_hang_up

    async def aclose(self) -> None:
        return None

    def _is_over(self, wall_s: float, monotonic_s: float) -> bool:
        return wall_s <= self._wall_clock() or monotonic_s <= self._clock()

    async def _read_day(self, scopes: Sequence[Scope]) -> None:
        """Take in what other processes, and this one before it was started again, have noted."""
        names = [scope.name for scope in scopes if scope.limits.of_day]
        if self._ledger is not None and names:
            day = day_of(self._wall_clock())
            self._note(await asyncio.to_thread(self._ledger.read, day, names))

    def _note(self, used: Mapping[str, tuple[float, float]]) -> None:
        now_s = self._wall_clock()
        for name, (seconds, usd) in used.items():
            use = of_day(self._use(name), now_s)
            if seconds > use.day_seconds or usd > use.day_usd:
                most = max(seconds, use.day_seconds), max(usd, use.day_usd)
                self._keep(name, replace(use, day_seconds=most[0], day_usd=most[1]))

    def _use(self, name: str) -> Use:
        return self._uses.get(name, Use())

    def _keep(self, name: str, use: Use) -> None:
        self._uses.pop(name, None)
        self._uses[name] = use
        if len(self._uses) > MAX_SCOPES:
            idle = next((n for n, u in self._uses.items() if u.sessions == 0), None)
            if idle is not None:
                del self._uses[idle]
