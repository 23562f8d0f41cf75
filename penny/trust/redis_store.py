"""The store of many gateways: Redis, with admission as one Lua call.

Time is Redis's own, so a gateway whose clock is wrong neither admits too much nor too little.
A gateway that dies leaves leases that end by themselves (``lease_s``).

Keys, all after ``prefix:``
    ``leases:<scope>``  ZSET session -> end of its lease
    ``rate:<scope>``    theoretical arrival time of the session rate
    ``day:<scope>``     HASH day, seconds, usd
    ``session:<id>``    what an operator is shown; ``sessions`` ZSET of all
    ``secret:<digest>`` a client secret's payload
    ``secrets:<tenant>`` ZSET size:digest -> its end, of all of a tenant
    ``hang-up``         channel of session ids
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from penny.aio.tasks import TaskOwner
from penny.trust.limits import MINUTE_S, Denial, LimitName, Limits, Scope
from penny.trust.store import DayUse, Json, OnHangUp, Place, StoreLost, check_room


log = structlog.get_logger()

T = TypeVar("T")

DAY_KEPT_S = SECRETS_KEPT_S = 172_800
LISTEN_RETRY_S = 1.0
_FOLDER = Path(__file__).parent


class RedisStore:
    """Store of places, limits and secrets that several gateways share. Raises StoreLost.

    Args:
        redis: a client that answers text.
        clock: seconds since the epoch for a test that owns time; None is Redis's own.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        lease_s: float,
        timeout_s: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._lease_s = lease_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._admit = redis.register_script((_FOLDER / "admit.lua").read_text(encoding="utf-8"))
        self._charge = redis.register_script((_FOLDER / "charge.lua").read_text(encoding="utf-8"))
        self._tasks = TaskOwner("redis store")

    async def ping(self) -> None:
        await self._ask(cast("Awaitable[object]", self._redis.ping()))

    async def admit(self, place: Place) -> Denial | None:
        keys: list[str] = []
        arguments: list[Any] = [self._now(), place.session_id, self._lease_s, DAY_KEPT_S]
        for scope in place.scopes:
            keys += [self._key(kind, scope.name) for kind in ("leases", "rate", "day")]
            arguments += _as_arguments(scope.limits)
        answer = await self._ask(self._admit(keys=keys, args=arguments))
        if answer:
            number, limit, after_ms = answer
            scope = place.scopes[int(number) - 1]
            return Denial(scope.name, cast("LimitName", limit), int(after_ms) / 1000)
        await self._enter([place])
        return None

    async def renew(self, places: Sequence[Place]) -> None:
        if places:
            await self._enter(places)

    async def release(self, place: Place) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for scope in place.scopes:
            pipe.zrem(self._key("leases", scope.name), place.session_id)
        pipe.zrem(self._key("sessions"), place.session_id)
        pipe.delete(self._key("session", place.session_id))
        await self._ask(pipe.execute())

    async def charge(self, used: Mapping[Scope, tuple[float, float]]) -> tuple[DayUse, ...]:
        keys = [self._key("day", scope.name) for scope in used]
        amounts = [amount for pair in used.values() for amount in pair]
        answer = await self._ask(self._charge(keys=keys, args=[self._now(), *amounts]))
        return tuple(
            DayUse(scope.name, float(used_s), float(used_usd))
            for scope, (used_s, used_usd) in zip(used, answer, strict=True)
        )

    async def list_sessions(self) -> list[Json]:
        now_s = await self._time_s()
        ids = await self._ask(
            cast(
                "Awaitable[list[str]]",
                self._redis.zrangebyscore(self._key("sessions"), now_s, "+inf"),
            )
        )
        if not ids:
            return []
        found = await self._ask(self._redis.mget([self._key("session", name) for name in ids]))
        return [orjson.loads(record) for record in found if record]

    async def hang_up(self, session_id: str) -> None:
        await self._ask(self._redis.publish(self._key("hang-up"), session_id))

    async def put_secret(self, digest: str, payload: Json, life_s: int) -> None:
        data, now_s = orjson.dumps(payload), await self._time_s()
        own = self._key("secrets", payload["tenant"])
        pipe = self._redis.pipeline(transaction=False)
        pipe.zremrangebyscore(own, "-inf", now_s)
        pipe.zrange(own, 0, -1)
        sizes = [int(each.split(":", 1)[0]) for each in (await self._ask(pipe.execute()))[1]]
        check_room(len(sizes) + 1, sum(sizes) + len(data))
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(self._key("secret", digest), data, ex=life_s)
        pipe.zadd(own, {f"{len(data)}:{digest}": now_s + life_s})
        pipe.expire(own, SECRETS_KEPT_S)
        await self._ask(pipe.execute())

    async def find_secret(self, digest: str) -> Json | None:
        found = await self._ask(self._redis.get(self._key("secret", digest)))
        if found is None:
            return None
        payload: Json = orjson.loads(found)
        return payload

    async def take_secret(self, digest: str) -> bool:
        # Deleting tells who was first: of two gateways only one sees the key go.
        return bool(await self._ask(self._redis.delete(self._key("secret", digest))))

    async def start(self, on_hang_up: OnHangUp) -> None:
        self._tasks.spawn(self._listen(on_hang_up), name="redis hang-up listener")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._redis.aclose()

    # -- inside -------------------------------------------------------------------------------

    async def _enter(self, places: Sequence[Place]) -> None:
        ends_s = await self._time_s() + self._lease_s
        life_s = round(self._lease_s)
        pipe = self._redis.pipeline(transaction=False)
        for place in places:
            for scope in place.scopes:
                pipe.zadd(self._key("leases", scope.name), {place.session_id: ends_s})
                pipe.expire(self._key("leases", scope.name), life_s + 60)
            pipe.zadd(self._key("sessions"), {place.session_id: ends_s})
            pipe.set(self._key("session", place.session_id), orjson.dumps(place.record), ex=life_s)
        pipe.zremrangebyscore(self._key("sessions"), "-inf", ends_s - self._lease_s)
        await self._ask(pipe.execute())

    async def _listen(self, on_hang_up: OnHangUp) -> None:
        await listen_to(self._redis, self._key("hang-up"), on_hang_up)

    async def _time_s(self) -> float:
        if self._clock is not None:
            return self._clock()
        seconds, micros = await self._ask(self._redis.time())
        return float(seconds) + float(micros) / 1e6

    async def _ask(self, question: Awaitable[T]) -> T:
        return await ask_redis(question, self._timeout_s)

    def _now(self) -> str:
        return "" if self._clock is None else repr(self._clock())

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))


async def ask_redis(question: Awaitable[T], timeout_s: float) -> T:
    """Raises StoreLost when Redis fails or is slow: who asks must not wait for it."""
    try:
        async with asyncio.timeout(timeout_s):
            return await question
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreLost(type(error).__name__) from error


async def listen_to(redis: Redis, channel_name: str, take: Callable[[str], None]) -> None:
    """Give every message of a channel to ``take``, for ever; a lost connection is made again."""
    while True:
        try:
            async with redis.pubsub() as channel:
                await channel.subscribe(channel_name)
                async for message in channel.listen():
                    if message["type"] == "message":
                        take(message["data"])
        except (RedisError, OSError):
            # Reported by the next request, which meets the same loss.
            await asyncio.sleep(LISTEN_RETRY_S)


def connect_redis(url: str, password: str | None, timeout_s: float) -> Redis:
    """A client; nothing is connected yet."""
    return Redis.from_url(
        url,
        password=password,
        decode_responses=True,
        socket_timeout=None,  # the pub/sub connection waits for as long as it takes
        socket_connect_timeout=timeout_s,
        health_check_interval=15,
    )


def _as_arguments(limits: Limits) -> list[Any]:
    minutes = limits.minutes_per_day
    values = (
        limits.max_sessions,
        limits.sessions_per_minute,
        None if minutes is None else minutes * MINUTE_S,
        limits.usd_per_day,
    )
    return ["" if value is None else value for value in values]
