"""The two stores keep the same contract, and the shared one falls back without losing a call."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penny.ids import new_id
from penny.trust.limits import DAY_S, Limits, Scope
from penny.trust.memory_store import MemoryStore
from penny.trust.redis_store import RedisStore, connect_redis
from penny.trust.resilient_store import ResilientStore
from penny.trust.store import DayUse, Place, StoreLost
from tests.doubles.redis_server import RedisServer, running_redis


pytestmark = pytest.mark.process

NOON_S = 20_000 * DAY_S + DAY_S / 2


class Clock:
    def __init__(self) -> None:
        self.now_s = NOON_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as redis:
        yield redis


@asynccontextmanager
async def connected(
    server: RedisServer, clock: Callable[[], float] | None = None, *, timeout_s: float = 30.0
) -> AsyncIterator[RedisStore]:
    """A store with keys of its own in the shared server."""
    store = RedisStore(
        connect_redis(server.url, None, timeout_s),
        prefix=new_id("test"),
        lease_s=30.0,
        timeout_s=timeout_s,
        clock=clock,
    )
    try:
        yield store
    finally:
        await store.aclose()


def place(name: str, *scopes: Scope) -> Place:
    return Place(name, scopes, {"session_id": name})


def _rounded(uses: tuple[DayUse, ...]) -> list[tuple[str, float, float]]:
    return [(use.scope, round(use.seconds, 6), round(use.usd, 6)) for use in uses]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "release", "charge", "wait"]),
        st.integers(min_value=0, max_value=5),
        st.sampled_from([1.0, 13.0, 30.0, 90.0]),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redis_and_memory_decide_alike(
    server: RedisServer, steps: list[tuple[str, int, float]]
) -> None:
    tenant = Scope("t:acme", Limits(max_sessions=3, sessions_per_minute=4, usd_per_day=3.0))
    key = Scope("k:one", Limits(max_sessions=2, minutes_per_day=2.0))

    async def compare() -> None:
        clock = Clock()
        memory = MemoryStore(clock)
        async with connected(server, clock) as redis:
            live: dict[int, Place] = {}
            for action, number, amount in steps:
                one = (
                    place(f"s{number}", tenant, key) if number % 2 else place(f"s{number}", tenant)
                )
                if action == "wait":
                    clock.now_s += amount
                    await redis.renew(list(live.values()))
                elif action == "charge":
                    used = dict.fromkeys(one.scopes, (amount, amount / 20))
                    uses = [await s.charge(used) for s in (memory, redis)]
                    assert _rounded(uses[0]) == _rounded(uses[1])
                elif action == "release" and number in live:
                    gone = live.pop(number)
                    await memory.release(gone)
                    await redis.release(gone)
                elif action == "admit" and number not in live:
                    first, second = await memory.admit(one), await redis.admit(one)
                    assert (first and (first.scope, first.limit)) == (
                        second and (second.scope, second.limit)
                    )
                    if first is None or second is None:
                        live[number] = one
                    else:
                        assert second.retry_after_s == pytest.approx(first.retry_after_s, abs=2e-3)
            alive = {record["session_id"] for record in await redis.list_sessions()}
            assert alive == {one.session_id for one in live.values()}

    asyncio.run(compare())


async def test_a_hundred_racing_admissions_over_four_gateways_give_exactly_twenty_places(
    server: RedisServer,
) -> None:
    scope = Scope("t:race", Limits(max_sessions=20))
    async with connected(server) as one:
        prefix = one._prefix
        others = [
            RedisStore(
                connect_redis(server.url, None, 30.0), prefix=prefix, lease_s=30, timeout_s=30
            )
            for _ in range(3)
        ]
        stores = [one, *others]
        denials = await asyncio.gather(
            *(stores[n % 4].admit(place(f"s{n}", scope)) for n in range(100))
        )
        for other in others:
            await other.aclose()
    assert sum(denial is None for denial in denials) == 20


async def test_a_dead_gateways_places_end_by_themselves(server: RedisServer) -> None:
    clock = Clock()
    scope = Scope("t:dead", Limits(max_sessions=1))
    async with connected(server, clock) as store:
        assert await store.admit(place("s1", scope)) is None
        assert await store.admit(place("s2", scope)) is not None
        clock.now_s += 31
        assert await store.admit(place("s2", scope)) is None
        assert [record["session_id"] for record in await store.list_sessions()] == ["s2"]


async def test_renewed_places_stay(server: RedisServer) -> None:
    clock = Clock()
    scope = Scope("t:alive", Limits(max_sessions=1))
    async with connected(server, clock) as store:
        first = place("s1", scope)
        assert await store.admit(first) is None
        for _ in range(5):
            clock.now_s += 20
            await store.renew([first])
        assert await store.admit(place("s2", scope)) is not None


async def test_a_single_use_secret_opens_one_session_among_many_gateways(
    server: RedisServer,
) -> None:
    async with connected(server) as store:
        await store.put_secret("d", {"tenant": "acme", "single_use": True}, 60)
        found = await asyncio.gather(*(store.take_secret("d") for _ in range(10)))
        assert await store.find_secret("d") is None
    assert sum(found) == 1


async def test_a_hang_up_reaches_every_gateway(server: RedisServer) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with connected(server) as one:
        other = RedisStore(
            connect_redis(server.url, None, 2.0), prefix=one._prefix, lease_s=30, timeout_s=2
        )
        await other.start(heard.put_nowait)
        async with asyncio.timeout(60):
            while heard.empty():  # until the subscription stands
                await one.hang_up("sess_1")
        assert heard.get_nowait() == "sess_1"
        await other.aclose()


async def test_redis_lost_loses_no_call_and_comes_back_with_what_was_used() -> None:
    clock = Clock()
    scope = Scope("t:acme", Limits(max_sessions=2, usd_per_day=100))
    with running_redis() as server:
        async with connected(server, clock, timeout_s=0.5) as redis:
            store = ResilientStore(redis, MemoryStore(clock), clock)
            first, second = place("s1", scope), place("s2", scope)
            assert await store.admit(first) is None

            server.stop()
            assert await store.admit(second) is None
            assert store.state.shared is False
            denial = await store.admit(place("s3", scope))
            assert denial is not None
            assert denial.limit == "max_sessions"
            uses = await store.charge({scope: (60, 1.5)})
            assert uses[0].usd == 1.5
            assert {r["session_id"] for r in await store.list_sessions()} == {"s1", "s2"}
            assert (store.state.losses, store.state.admitted_alone) == (1, 1)

            server.start()
            clock.now_s += 1.5
            await store.renew([first, second])
            assert store.state.shared is True
            assert {r["session_id"] for r in await redis.list_sessions()} == {"s1", "s2"}
            assert (await redis.charge({scope: (0, 0)}))[0].usd == 1.5


async def test_a_frozen_redis_is_lost_after_the_timeout_not_for_ever() -> None:
    with running_redis() as server:
        async with connected(server, timeout_s=0.3) as redis:
            assert await redis.admit(place("s1", Scope("t:x", Limits()))) is None
            os.kill(server.pid, signal.SIGSTOP)
            try:
                with pytest.raises(StoreLost):
                    await redis.admit(place("s2", Scope("t:x", Limits())))
            finally:
                os.kill(server.pid, signal.SIGCONT)
