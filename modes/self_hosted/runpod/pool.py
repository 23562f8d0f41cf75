"""Leases that several gateways share through Redis: which gateway holds which worker.

Each gateway writes what it holds once a second and reads what the others wrote. What must be
decided once is one Lua call: whether ``max_workers`` allows another worker (``reserve.lua``), which
gateway holds a worker that dials in and whether its token is unspent (``claim.lua``), which gateway
keeps ``min_workers`` and reaps the leases of dead ones (``sync.lua``).

Redis lost: every method answers None, the gateway decides for itself with what it last knew, and
says so once (``leases_not_shared``).

Keys, all after ``prefix:runpod:<endpoint>:``
    ``leases`` HASH id -> LeaseRecord    ``seen`` ZSET id -> last written
    ``reaper`` the node that decides     ``cold``, ``warm`` LISTs of what starts took, seconds
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from modes.self_hosted.runpod.cold_starts import KEPT
from modes.self_hosted.runpod.lease import Lease, digest
from modes.self_hosted.runpod.record import LeaseRecord, adopt, record, write
from penny.ids import new_id
from penny.trust.redis_store import ask_redis
from penny.trust.store import StoreLost


log = structlog.get_logger()

T = TypeVar("T")

_FOLDER = Path(__file__).parent


class LeasePool:
    """Registry in Redis of the leases that all gateways of one endpoint hold.

    A gateway without Redis goes on alone: every method then answers None.

    Args:
        prefix: of its keys, with the endpoint's name.
        lease_s: a gateway that wrote nothing for so long counts as dead.
        timeout_s: an answer of Redis later than this counts as lost.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        lease_s: float,
        timeout_s: float,
        usd_per_hour: float,
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._usd_per_hour = usd_per_hour
        self._clock = clock
        self._sync, self._reserve, self._claim = (
            redis.register_script((_FOLDER / f"{name}.lua").read_text(encoding="utf-8"))
            for name in ("sync", "reserve", "claim")
        )
        self._since_s: float | None = None
        self.node = new_id("node")
        self.lease_s = lease_s
        self.shared = True
        """False while Redis is lost."""
        self.is_reaper = False
        self.others: dict[str, LeaseRecord] = {}
        """Leases that other gateways hold, as last told."""
        self.starts: dict[str, list[float]] = {"cold": [], "warm": []}

    async def aclose(self) -> None:
        if self.is_reaper:
            await self._try(self._redis.delete(self._key("reaper")))
        await self._redis.aclose()

    async def sync(self, leases: Iterable[Lease]) -> list[str] | None:
        """Write what this gateway holds and read the rest; ids of leases that others have taken."""
        arguments: list[Any] = ["", self.node, self.lease_s]
        for lease in leases:
            arguments += [lease.id, self._written(lease)]
        names = ("leases", "seen", "reaper", "cold", "warm")
        keys = [self._key(name) for name in names]
        answer = await self._try(self._sync(keys=keys, args=arguments))
        if answer is None:
            return None
        stamp, reaper, lost, told, *starts = answer
        if self._since_s is None:
            self._since_s = self._clock()
        self.is_reaper = bool(reaper)
        self.others = self._read(told, float(stamp))
        for kind, seconds in zip(("cold", "warm"), starts, strict=True):
            self.starts[kind] = [float(value) for value in seconds]
        return list(lost)

    def knows_the_dead(self) -> bool:
        """Whether Redis was there for so long that a gateway it has not heard of is dead."""
        return (
            self.shared
            and self._since_s is not None
            and self._clock() - self._since_s > self.lease_s
        )

    async def forget(self, lease_id: str) -> None:
        """A lease is over. If this is not heard, the reaper finds its record silent."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hdel(self._key("leases"), lease_id)
        pipe.zrem(self._key("seen"), lease_id)
        await self._try(pipe.execute())

    async def record_start(self, kind: str, seconds: Iterable[float]) -> None:
        """Remember what starts took."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.rpush(self._key(kind), *(round(took_s, 2) for took_s in seconds))
        pipe.ltrim(self._key(kind), -KEPT, -1)
        await self._try(pipe.execute())

    async def reserve(self, lease: Lease, most: int) -> bool | None:
        """Enter a lease that is to be asked for, unless all gateways together have ``most``.

        Returns None when Redis is lost.
        """
        keys = [self._key("leases"), self._key("seen")]
        arguments: list[Any] = ["", most, lease.id, self._written(lease)]
        answer = await self._try(self._reserve(keys=keys, args=arguments))
        return None if answer is None else bool(answer)

    async def claim(
        self, lease_id: str, credential: str, lease: Lease | None
    ) -> Lease | bool | None:
        """Whose worker dials in here.

        Args:
            lease: this gateway's own of that id, if it has one.

        Returns:
            True: it is ``lease``'s. A lease: it was another gateway's and is now this one's.
            False: refused. None: Redis does not know, this gateway decides alone.
        """
        key = lease.key if lease is not None else secrets.token_urlsafe(24)
        shown = ["", self.node, lease_id, digest(credential), digest(key)]
        keys = [self._key("leases"), self._key("seen")]
        answer = await self._try(self._claim(keys=keys, args=shown))
        if not answer:
            return None
        if answer[0] == "refused":
            return False
        if lease is not None:
            return True
        how, body, seen, stamp = answer
        now_s = self._clock()
        told = LeaseRecord.model_validate_json(body).placed(float(stamp) - float(seen), now_s)
        waking = how == "token"
        return adopt(
            told,
            key if waking else credential,
            waking=waking,
            usd_per_hour=self._usd_per_hour,
            now_s=now_s,
        )

    # -- inside -------------------------------------------------------------------------------

    def _written(self, lease: Lease) -> str:
        return write(record(lease, self.node, self._clock()))

    def _read(self, told: list[str], stamp_s: float) -> dict[str, LeaseRecord]:
        others, now_s = {}, self._clock()
        for name, body, seen in zip(told[::3], told[1::3], told[2::3], strict=True):
            try:
                lease = LeaseRecord.model_validate_json(body)
            except ValidationError:
                log.warning("lease_record_not_understood", lease_id=name)
                continue
            if lease.node != self.node:
                others[name] = lease.placed(stamp_s - float(seen), now_s)
        return others

    async def _try(self, question: Awaitable[T]) -> T | None:
        try:
            answer = await ask_redis(question, self._timeout_s)
        except StoreLost as lost:
            self._since_s = None
            self.is_reaper = False
            if self.shared:
                self.shared = False
                log.error(  # noqa: TRY400
                    "leases_not_shared",
                    reason=str(lost),
                    rule="this gateway decides alone, with what it last knew of the others",
                )
            return None
        if not self.shared:
            self.shared = True
            log.info("leases_shared_again")
        return answer

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))
