"""The bell of workers on other machines, with a real Valkey."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config.schema import Config
from penny.analysis.batch.bell import MOST_RINGS, Bell, find_fault
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
        await asyncio.wait({listening}, timeout=WAIT_S)
        assert listening.cancelled()
        server.stop()
        assert not await gateway.ring()
        await gateway.aclose()
        await worker.aclose()


def test_a_cluster_is_refused_and_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    def asked(url: str, **analysis: bool) -> Config:
        return Config.model_validate({"redis": {"url": url}, "analysis": analysis})

    with running_redis() as server:
        assert find_fault(asked(server.url, enabled=True)) is None
    away = find_fault(asked(server.url, enabled=True))
    assert away is not None
    assert away[0] == "warning"
    with socket.socket() as probe:  # by itself it takes a port ten thousand further, if there is
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    options = ("--cluster-config-file", str(tmp_path / "nodes.conf"), "--cluster-port", port)
    with running_redis("--cluster-enabled", "yes", *options) as server:
        refused = find_fault(asked(server.url, enabled=True))
        assert refused is not None
        assert refused[0] == "error"
        assert "cluster" in refused[1]
        assert find_fault(asked(server.url, enabled=False)) is None
