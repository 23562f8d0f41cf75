"""The bell of workers on other machines, with a real Valkey."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from penny.analysis.batch.bell import MOST_RINGS, Bell
from tests.doubles.redis_server import running_redis


pytestmark = pytest.mark.process

WAIT_S = 60.0


async def test_a_ring_wakes_a_worker_and_a_redis_that_is_away_costs_nothing() -> None:
    with running_redis() as server:
        gateway, worker = Bell(server.url, "penny"), Bell(server.url, "penny")
        listening = asyncio.create_task(worker.listen())
        async with asyncio.timeout(WAIT_S):
            heard = asyncio.create_task(worker.wait(WAIT_S))
            while not heard.done():
                assert await gateway.ring()
                await asyncio.wait({heard}, timeout=0.2)
        async with Redis.from_url(server.url) as store:
            assert await store.xlen("penny:analysis") <= MOST_RINGS
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        server.stop()
        assert not await gateway.ring()
        await gateway.aclose()
        await worker.aclose()
