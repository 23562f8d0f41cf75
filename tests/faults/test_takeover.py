"""SIGTERM: a gateway drains with its word kept; another takes its port and no call is refused."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.caller import calling
from tests.doubles.processes import PennyProcess, free_port, gateway_process, worker_process


pytestmark = pytest.mark.process

Json = dict[str, Any]


async def test_a_gateway_told_to_stop_refuses_by_name_lets_calls_finish_and_exits_0(
    tmp_path: Path,
) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port) as gateway,
        calling(gateway.url) as live,
        aiohttp.ClientSession() as http,
    ):
        await live.send("session_start")
        await live.until("session_started")
        gateway.signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            while True:
                async with http.get(f"{gateway.url}/readyz") as ready:
                    if ready.status == 503:
                        assert (await ready.json())["reasons"] == ["draining"]
                        break
        async with calling(gateway.url) as late:
            await late.send("session_start")
            error = await late.until("error")
            assert (error["code"], error["retryable"]) == ("session_refused", True)
            assert await late.closed() == 4429
        await live.send("text_input", text="hola")
        assert (await live.until("response_done"))["status"] == "completed"
        await live.send("session_end")
        assert (await live.until("session_ended"))["reason"] == "client_ended"
        assert await gateway.wait() == 0


async def test_calls_that_outlast_the_drain_are_told_and_the_exit_is_still_0(
    tmp_path: Path,
) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, gateway={"drain_s": 0.5}) as gateway,
        calling(gateway.url) as live,
    ):
        await live.send("session_start")
        await live.until("session_started")
        gateway.signal(signal.SIGTERM)
        assert (await live.until("session_ended"))["reason"] == "drain"
        assert await live.closed() == 1001
        assert await gateway.wait() == 0


async def call_again_and_again(url: str, outcomes: Counter[str], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with calling(url) as caller:
                await caller.send("session_start")
                await caller.until("session_started")
                await caller.send("text_input", text="hola")
                outcomes[(await caller.until("response_done"))["status"]] += 1
                await caller.send("session_end")
                await caller.until("session_ended")
        except (aiohttp.ClientError, ConnectionError) as error:
            outcomes[type(error).__name__] += 1


async def test_a_second_gateway_takes_the_port_over_and_no_call_is_refused(
    tmp_path: Path,
) -> None:
    port, outcomes, stop = free_port(), Counter[str](), asyncio.Event()
    asterisk = {"enabled": True, "port": free_port()}
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(worker_process(tmp_path))

        async def start(name: str) -> PennyProcess:
            gateway = gateway_process(
                tmp_path,
                worker.port,
                name=name,
                port=port,
                gateway={"reuse_port": True},
                telephony={"folder": str(tmp_path / "phones"), "asterisk": asterisk},
            )
            return await stack.enter_async_context(gateway)

        old = await start("old")
        callers = [
            asyncio.create_task(call_again_and_again(old.url, outcomes, stop)) for _ in range(4)
        ]
        new = await start("new")
        old.signal(signal.SIGTERM)
        assert await old.wait() == 0
        served = outcomes["completed"]
        async with asyncio.timeout(60):
            while outcomes["completed"] < served + 8:
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*callers)
        assert "another_gateway_took_over" in old.log
        reader, writer = await asyncio.open_connection("127.0.0.1", int(asterisk["port"]))
        assert await reader.readexactly(3) == b"\x10\x01\x40"  # AudioSocket goes on too
        writer.close()
        assert "session_started" in old.log
        assert "session_started" in new.log
    assert set(outcomes) == {"completed"}, outcomes
