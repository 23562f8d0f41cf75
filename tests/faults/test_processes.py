"""Several gateway processes on one port: one dies, all drain, a lost client finds its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.loader import load
from penny.errors import ConfigError
from penny.gateway.metrics import merge
from penny.gateway.sibling_processes import SiblingProcesses
from penny.gateway.supervisor import check_processes
from tests.doubles.caller import Caller, calling
from tests.doubles.processes import PennyProcess, free_port, gateway_process, worker_process


pytestmark = pytest.mark.process

TWO = {"processes": 2}


def children(pid: int) -> set[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return {int(child) for child in listed.split()}


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


async def listening(gateway: PennyProcess, times: int) -> None:
    """Until processes of this gateway began to listen so often."""
    async with asyncio.timeout(60):
        while gateway.log.count("gateway_listens") < times:
            await asyncio.sleep(0.05)


async def begin(stack: AsyncExitStack, url: str) -> tuple[Caller, str]:
    """A call and its resume token."""
    caller = await stack.enter_async_context(calling(url))
    await caller.send("session_start")
    return caller, (await caller.until("session_started"))["resume_token"]


async def sessions_by_process(gateway: PennyProcess) -> dict[str, float]:
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.url}/metrics") as answer:
        text = await answer.text()
    return {
        sample.labels["process"]: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "penny_sessions"
        for sample in family.samples
        if sample.labels["mode"] == "SELF_HOSTED"
    }


async def test_both_take_calls_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, gateway=TWO) as gateway,
        AsyncExitStack() as stack,
    ):
        assert "processes_count_alone" in gateway.log
        await listening(gateway, 2)
        live: list[Caller] = []
        async with asyncio.timeout(60):
            while set((await sessions_by_process(gateway)).values()) & {0.0} or len(live) < 4:
                live.append((await begin(stack, gateway.url))[0])
        assert sum((await sessions_by_process(gateway)).values()) == len(live)

        before = children(gateway.process.pid)
        os.kill(min(before), signal.SIGKILL)
        await gateway.logged("gateway_process_died")
        await listening(gateway, 3)
        caller, _ = await begin(stack, gateway.url)
        await caller.send("text_input", text="hola")
        assert (await caller.until("response_done"))["status"] == "completed"


async def test_all_drain_together_and_the_exit_is_0(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, gateway=TWO) as gateway,
        AsyncExitStack() as stack,
    ):
        live = [(await begin(stack, gateway.url))[0] for _ in range(4)]
        gateway.signal(signal.SIGTERM)
        for caller in live:
            await caller.send("text_input", text="hola")
            assert (await caller.until("response_done"))["status"] == "completed"
            await caller.send("session_end")
            assert (await caller.until("session_ended"))["reason"] == "client_ended"
        assert await gateway.wait() == 0


async def test_a_lost_client_is_carried_to_the_process_that_has_its_session(
    tmp_path: Path,
) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, gateway=TWO) as gateway,
        AsyncExitStack() as stack,
    ):
        await listening(gateway, 2)
        caller, token = await begin(stack, gateway.url)
        # The kernel decides who gets each connection; sooner or later it is the other one.
        async with asyncio.timeout(60):
            while gateway.log.count("connection_carried") < 2:
                caller.vanish()
                again = await stack.enter_async_context(calling(gateway.url))
                received = caller.received
                await again.send("session_resume", resume_token=token, received=received)
                await again.until("session_resumed")
                again.received = received
                caller = again
        await caller.send("text_input", text="hola")
        assert (await caller.until("response_done"))["status"] == "completed"
        await caller.send("session_end")
        assert (await caller.until("session_ended"))["reason"] == "client_ended"
        assert await caller.closed() == 1000


async def test_a_token_of_a_process_that_died_is_refused_in_words(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, gateway=TWO) as gateway,
        AsyncExitStack() as stack,
    ):
        await listening(gateway, 2)
        caller, token = await begin(stack, gateway.url)
        for pid in children(gateway.process.pid):
            os.kill(pid, signal.SIGKILL)
        await listening(gateway, 4)
        again = await stack.enter_async_context(calling(gateway.url))
        await again.send("session_resume", resume_token=token, received=caller.received)
        assert (await again.until("error"))["code"] == "resume_failed"


async def test_processes_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, gateway=TWO) as gateway,
    ):
        pids = children(gateway.process.pid)
        assert len(pids) == 2
        gateway.signal(signal.SIGKILL)
        async with asyncio.timeout(60):
            while any(is_running(pid) for pid in pids):
                await asyncio.sleep(0.05)


async def test_what_keeps_every_process_from_starting_ends_them_all(tmp_path: Path) -> None:
    config = tmp_path / "penny.yaml"
    keys = tmp_path / "keys.sqlite"
    text = f"gateway: {{host: 0.0.0.0, port: {free_port()}}}\nkeys: {{file: {keys}}}\n"
    config.write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penny", "serve", "--config", str(config), "--processes", "2"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 1
    assert b"keys" in out


def test_leased_workers_need_a_single_process(tmp_path: Path) -> None:
    config = tmp_path / "penny.yaml"
    runpod = "runpod: {endpoint_id: abc, gateway_url: wss://penny.example/worker}"
    config.write_text(f"gateway: {{processes: 2}}\n{runpod}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="use 1 process"):
        check_processes(load(config, {}))


def test_a_token_tells_which_process_gave_it_out(tmp_path: Path) -> None:
    mine = SiblingProcesses(tmp_path, 2, 3)
    assert mine.token_prefix == "resume2"
    assert mine.owner("resume3_abc") == 3
    for token in ("resume2_abc", "resume_abc", "resume4_abc", "resume0_abc", "resumé", ""):
        assert mine.owner(token) is None


def test_figures_of_several_processes_are_one_exposition() -> None:
    text = (
        '# HELP penny_x_total Things\n# TYPE penny_x_total counter\npenny_x_total{{mode="A"}} {}\n'
    )
    merged = merge({1: text.format("1.0"), 2: text.format("5.0")}).decode()
    assert merged.count("# TYPE") == 1
    assert 'penny_x_total{mode="A",process="1"} 1.0' in merged
    assert 'penny_x_total{mode="A",process="2"} 5.0' in merged
