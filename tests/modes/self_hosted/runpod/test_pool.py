"""Two gateways, one Redis, one pool of rented workers: what is decided is decided once."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import redis as sync_redis
import structlog

from modes.self_hosted.runpod.lease import Lease, LeaseMeter
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.record import LeaseRecord
from penny.errors import ModeUnavailable
from penny.trust.redis_store import connect_redis
from runpod_worker.engines.registry import Engines
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.leasing_gateway import LeasingGateway
from tests.doubles.loudness_vad import LoudnessVad
from tests.doubles.redis_server import RedisServer, running_redis
from tests.doubles.rented_machine import RentedMachine
from tests.doubles.runpod_server import RunpodServer
from tests.doubles.speaker_caller import Caller
from tests.doubles.worker_process import TellingLlm


pytestmark = pytest.mark.process

Json = dict[str, Any]


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis(redis_process: RedisServer) -> RedisServer:
    with sync_redis.Redis.from_url(redis_process.url) as client:
        client.flushall()
    return redis_process


def make_engines() -> Engines:
    return Engines(LoudnessVad(), FixedStt(), TellingLlm(), FixedTts())


class House:
    """Gateways before one control plane. Those that died are not closed again."""

    def __init__(self, server: RunpodServer, folder: Path, redis_url: str) -> None:
        self.server = server
        self._folder = folder
        self._redis_url = redis_url
        self.machines: list[RentedMachine] = []
        self.living: list[LeasingGateway] = []

    async def add_gateway(self, **settings: Any) -> LeasingGateway:
        folder = self._folder / f"node{len(self.living)}"
        folder.mkdir(exist_ok=True)
        gateway = LeasingGateway(self.server, folder)
        await gateway.start(redis_url=self._redis_url, **settings)
        self.living.append(gateway)
        return gateway

    async def kill(self, gateway: LeasingGateway) -> None:
        self.living.remove(gateway)
        await gateway.die()

    def add_machine(self, **dialling: float) -> RentedMachine:
        machine = RentedMachine(self.server, make_engines)
        machine.start(f"w{len(self.machines) + 1}", dialling=dialling)
        self.machines.append(machine)
        return machine

    def running_jobs(self) -> list[str]:
        return [
            job.id for job in self.server.jobs.values() if job.status in ("IN_QUEUE", "IN_PROGRESS")
        ]


@asynccontextmanager
async def two_gateways(
    folder: Path, redis: RedisServer, **settings: Any
) -> AsyncIterator[tuple[House, LeasingGateway, LeasingGateway]]:
    server = RunpodServer()
    await server.start()
    house = House(server, folder, redis.url)
    try:
        yield house, await house.add_gateway(**settings), await house.add_gateway(**settings)
    finally:
        for gateway in house.living:
            await gateway.aclose()
        for machine in house.machines:
            await machine.crash()
        for gateway in house.living:
            await gateway.close_door()
        await server.aclose()


async def until(holds: Callable[[], bool], limit_s: float = 15) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():
            await asyncio.sleep(0.02)


async def test_sessions_that_arrive_together_share_the_workers_of_their_gateway(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis, max_workers=5) as (house, one, other):
        for _ in range(4):
            house.add_machine()
        speakers = await asyncio.gather(
            *(gateway.open(f"sess_{n}") for n, gateway in enumerate((one, other) * 4))
        )
        assert len(house.server.jobs) == 4  # four sessions on each gateway, two slots in a worker
        assert [len(gateway.source.registry.leases) for gateway in (one, other)] == [2, 2]
        for speaker in speakers:
            await speaker.aclose()


@pytest.mark.parametrize("most", [1, 5, 40])
async def test_of_many_gateways_that_reserve_at_once_no_more_than_max_workers_may(
    redis: RedisServer, most: int
) -> None:
    clock = asyncio.get_running_loop().time
    pools = [
        LeasePool(
            connect_redis(redis.url, None, 5.0),
            prefix="race",
            lease_s=30,
            timeout_s=5.0,
            usd_per_hour=0,
            clock=clock,
        )
        for _ in range(12)
    ]
    lease = Lease("", "", "token", "key", 4, clock(), clock() + 600, "cold", LeaseMeter(0, 0))

    async def ask(pool: LeasePool) -> list[bool | None]:
        wanted = [dataclasses.replace(lease, id=f"{pool.node}-{n}") for n in range(3)]
        return [await pool.reserve(each, most) for each in wanted]

    answers = [answer for many in await asyncio.gather(*map(ask, pools)) for answer in many]
    assert answers.count(True) == min(most, 36)
    assert answers.count(False) == 36 - min(most, 36)
    for pool in pools:
        await pool.aclose()


async def test_the_limit_of_workers_is_that_of_all_gateways(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis, max_workers=1, slots=1, warm_s=0) as (
        house,
        one,
        other,
    ):
        house.add_machine()
        speaker = await one.open("sess_1")
        await until(lambda: [le.live for le in other_leases(other)] == [1])
        with pytest.raises(ModeUnavailable, match="all 1 leased workers are full"):
            await other.open("sess_2")
        assert len(house.server.jobs) == 1

        assert one.source.registry.leases
        await speaker.aclose()
        await until(lambda: not house.running_jobs() and not other_leases(other))
        again = await other.open("sess_3")  # the place of a worker that was let go
        assert house.running_jobs() == ["job-2"]
        await again.aclose()


def other_leases(gateway: LeasingGateway) -> list[LeaseRecord]:
    """What it was told of leases that others hold."""
    assert gateway.pool is not None
    return list(gateway.pool.others.values())


async def _knock(gateway: LeasingGateway, lease_id: str, credential: str) -> int:
    headers = {"Authorization": f"Bearer {credential}"}
    url = f"{gateway.url}?lease={lease_id}"
    try:
        async with gateway.http.ws_connect(url, headers=headers) as socket:
            await socket.receive()
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    return 101


@pytest.mark.parametrize("first", [0, 1])
async def test_a_token_opens_one_control_socket_of_all_gateways(
    tmp_path: Path, redis: RedisServer, first: int
) -> None:
    async with two_gateways(tmp_path, redis) as (house, *gateways):
        opening = asyncio.create_task(gateways[0].open())
        await until(lambda: bool(house.server.jobs))
        given = house.server.jobs["job-1"].input
        house.server.queue.clear()

        order = [gateways[first], gateways[1 - first], gateways[first]]
        answers = [await _knock(gateway, given["lease_id"], given["token"]) for gateway in order]
        assert answers == [101, 401, 401]
        opening.cancel()


async def test_a_lease_whose_worker_dials_another_gateway_is_that_ones(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis, max_workers=1) as (house, one, other):
        opening = asyncio.create_task(one.open())
        await until(lambda: bool(house.server.jobs))
        job = house.server.jobs["job-1"]
        job.input["gateway_ws"] = other.url  # a balancer led it there
        house.add_machine()
        with pytest.raises(ModeUnavailable, match="full"):
            await opening
        speaker = await other.open("sess_2")

        assert [len(gateway.source.registry.leases) for gateway in (one, other)] == [0, 1]
        assert house.running_jobs() == ["job-1"]
        books = [g.folder / "leases.json" for g in (one, other)]
        await until(lambda: [json.loads(b.read_text()) for b in books] == [[], ["job-1"]])
        await speaker.aclose()


async def test_a_gateway_started_again_goes_on_with_the_worker_it_had(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis) as (house, one, _other):
        house.add_machine(redial_pause_s=1.0)
        await (await one.open("sess_1")).aclose()
        port = urlsplit(one.url).port
        await house.kill(one)
        again = await house.add_gateway(port=port)
        await until(lambda: any(lease.spare for lease in again.source.registry.leases.values()))
        caller = Caller(await again.open("sess_2"))
        await caller.ask("hola")
        assert await caller.answer() == "Sé 1 cosas. hola"
        assert house.running_jobs() == ["job-1"]
        assert len(house.server.jobs) == 1
        await caller.aclose()


@pytest.mark.parametrize("taken", [True, False])
async def test_a_dead_gateways_leases_are_swept_by_the_other(
    tmp_path: Path, redis: RedisServer, taken: bool
) -> None:
    async with two_gateways(tmp_path, redis, max_workers=1, slots=1) as (house, one, other):
        opening = asyncio.create_task(one.open())
        await until(lambda: bool(house.server.jobs))
        await until(lambda: bool(other.pool and other.pool.others))
        if taken:  # by a machine that hangs: its job is never returned
            house.server.queue.clear()
            house.server.jobs["job-1"].status = "IN_PROGRESS"
        opening.cancel()
        await house.kill(one)

        await until(lambda: house.server.cancelled == ["job-1"])
        house.add_machine()
        speaker = await other.open("sess_2")  # the place among max_workers is free again
        assert house.running_jobs() == ["job-2"]
        await speaker.aclose()


async def test_redis_lost_keeps_calls_and_decides_with_what_was_last_known(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis, max_workers=2, slots=1) as (house, one, other):
        house.add_machine()
        house.add_machine()
        first = Caller(await one.open("sess_1"))
        await until(lambda: bool(other.pool and other.pool.others))
        with structlog.testing.capture_logs() as logs:
            redis.stop()
            try:
                second = Caller(await other.open("sess_2"))
                for caller in (first, second):
                    await caller.ask("hola")
                    assert await caller.answer() == "Sé 1 cosas. hola"
                with pytest.raises(ModeUnavailable, match="full"):  # two of two, as last told
                    await other.open("sess_3")
            finally:
                redis.start()
            pools = [gateway.pool for gateway in (one, other) if gateway.pool is not None]
            await until(lambda: all(pool.shared and pool.others for pool in pools))
        told = [entry["event"] for entry in logs]
        assert told.count("leases_not_shared") == 2
        assert told.count("leases_shared_again") == 2
        assert len(house.running_jobs()) == 2
        await first.aclose()
        await second.aclose()


async def test_a_redis_that_was_frozen_makes_nobody_look_dead(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis, lease_s=1.5) as (house, one, other):
        house.add_machine()
        caller = Caller(await one.open("sess_1"))
        pools = [gateway.pool for gateway in (one, other) if gateway.pool is not None]
        os.kill(redis.pid, signal.SIGSTOP)
        try:
            await until(lambda: not any(pool.shared for pool in pools))
            await asyncio.sleep(2.0)  # every record in it is older than lease_s now
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        await until(lambda: all(pool.shared and pool.knows_the_dead() for pool in pools))
        await caller.ask("hola")
        assert await caller.answer() == "Sé 1 cosas. hola"
        assert house.server.cancelled == []
        await caller.aclose()


async def test_what_starts_took_is_known_to_every_gateway(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_gateways(tmp_path, redis) as (house, one, other):
        house.add_machine()
        speaker = await one.open("sess_1")
        path = other.folder / "cold_starts.json"
        own = one.folder / "cold_starts.json"
        await until(lambda: path.exists() and own.exists())
        assert len(json.loads(path.read_text())["cold"]) == 1
        await until(lambda: path.read_text() == own.read_text())
        await speaker.aclose()


async def test_one_gateway_sets_the_minimum_and_another_when_it_is_gone(
    tmp_path: Path, redis: RedisServer
) -> None:
    always = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    windows = [{**always, "start": "00:00", "end": "23:59:59.999999", "workers": 3}]
    async with two_gateways(tmp_path, redis, min_workers=windows) as (house, one, other):
        await until(lambda: bool(house.server.minimums))
        assert one.pool is not None
        assert other.pool is not None
        pools = (one.pool, other.pool)
        reaper, heir = (one, other) if pools[0].is_reaper else (other, one)
        assert [pool.is_reaper for pool in pools].count(True) == 1
        assert house.server.minimums == [3]
        await house.kill(reaper)
        await until(lambda: house.server.minimums == [3, 3])
        assert heir.pool is not None
        assert heir.pool.is_reaper
