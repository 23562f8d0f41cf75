"""Rented workers that vanish, and gateways that die holding them: real processes, real Redis."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modes.self_hosted.runpod import door as worker_door
from tests.doubles.caller import Caller, calling
from tests.doubles.faulty_proxy import faulty_proxy
from tests.doubles.leasing_gateway import LeasingGateway
from tests.doubles.processes import PennyProcess, free_port, gateway_process, running
from tests.doubles.redis_server import running_redis
from tests.doubles.runpod_server import ENDPOINT, KEY, RunpodServer
from tests.doubles.speaker_caller import Caller as SpeakerCaller


pytestmark = pytest.mark.process

Json = dict[str, Any]


@asynccontextmanager
async def machine_process(
    folder: Path, server: RunpodServer, name: str
) -> AsyncIterator[PennyProcess]:
    arguments = ("-m", "tests.doubles.rented_machine", server.api_url, name)
    async with running(folder, name, 0, *arguments) as machine:
        await machine.logged("waits for jobs")
        yield machine


@asynccontextmanager
async def control_plane() -> AsyncIterator[RunpodServer]:
    server = RunpodServer()
    await server.start()
    try:
        yield server
    finally:
        await server.aclose()


@asynccontextmanager
async def one_gateway(
    folder: Path, server: RunpodServer, **settings: Any
) -> AsyncIterator[LeasingGateway]:
    gateway = LeasingGateway(server, folder)
    await gateway.start(**settings)
    try:
        yield gateway
    finally:
        await gateway.aclose()
        await gateway.close_door()


async def test_a_frozen_workers_slots_are_withdrawn_and_its_call_goes_on_elsewhere(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(control_plane())
        gateway = await stack.enter_async_context(one_gateway(tmp_path, server))
        frozen = await stack.enter_async_context(machine_process(tmp_path, server, "w1"))
        caller = SpeakerCaller(await gateway.open())
        lease = next(iter(gateway.source.registry.leases.values()))
        async with asyncio.timeout(60):
            while not lease.spare:
                await asyncio.sleep(0.02)
        await stack.enter_async_context(machine_process(tmp_path, server, "w2"))

        frozen.signal(signal.SIGSTOP)
        async with asyncio.timeout(60):  # a frozen process breaks no connection: a heartbeat tells
            while lease.spare:
                await asyncio.sleep(0.02)
        await caller.ask("¿sigue ahí?")
        async with asyncio.timeout(60):
            while not (await caller.answer()).endswith("¿sigue ahí?"):
                pass
        await caller.aclose()


async def test_a_line_that_went_silent_is_noticed_by_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_door, "SLOT_HEARTBEAT_S", 0.5)
    port = free_port()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(control_plane())
        proxy = await stack.enter_async_context(faulty_proxy(port))
        gateway = await stack.enter_async_context(
            one_gateway(
                tmp_path, server, gateway_url=f"ws://127.0.0.1:{proxy.port}/worker", port=port
            )
        )
        await stack.enter_async_context(machine_process(tmp_path, server, "w1"))
        await (await gateway.open()).aclose()
        lease = next(iter(gateway.source.registry.leases.values()))
        async with asyncio.timeout(60):
            while len(lease.spare) < 2:
                await asyncio.sleep(0.02)
            before = proxy.connections
            proxy.stall()
            while lease.spare:
                await asyncio.sleep(0.02)
            proxy.flow()
            # The worker found its slots dead too: it has dialled fresh ones.
            while len(lease.spare) < 2:
                await asyncio.sleep(0.02)
        assert proxy.connections >= before + 2


async def start(caller: Caller) -> None:
    await caller.send("session_start", mode="SELF_HOSTED", greeting="")
    await caller.until("session_started")


async def ask(caller: Caller) -> None:
    await caller.send("text_input", text="hola")
    assert (await caller.until("response_done"))["status"] == "completed"


async def test_the_place_of_a_killed_gateways_worker_is_free_for_another_gateway(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis())
        server = await stack.enter_async_context(control_plane())
        gateways = []
        for name in ("one", "other"):
            port = free_port()
            sections: dict[str, Json] = {
                "penny": {"default_mode": "SELF_HOSTED"},
                "redis": {"url": redis.url, "lease_s": 3.0},
                "runpod": {
                    "endpoint_id": ENDPOINT,
                    "gateway_url": f"ws://127.0.0.1:{port}/worker",
                    "api_url": server.api_url,
                    "rest_url": server.rest_url,
                    "state": str(tmp_path / name),
                    "max_workers": 1,
                    "slots": 2,
                },
            }
            environment = {"RUNPOD_API_KEY": KEY}
            gateways.append(
                await stack.enter_async_context(
                    gateway_process(
                        tmp_path, 0, name=name, port=port, environment=environment, **sections
                    )
                )
            )
        await stack.enter_async_context(machine_process(tmp_path, server, "w1"))
        first, other = gateways
        caller = await stack.enter_async_context(calling(first.url))
        await start(caller)
        await ask(caller)
        assert len(server.jobs) == 1
        first.signal(signal.SIGKILL)

        # The worker returned its lease, the other gateway forgot it: there is room for the next.
        await other.logged("dead_gateways_lease_swept")
        fresh = await stack.enter_async_context(calling(other.url))
        await start(fresh)
        await ask(fresh)
        running_jobs = [job.id for job in server.jobs.values() if job.status == "IN_PROGRESS"]
        assert running_jobs == ["job-2"]
