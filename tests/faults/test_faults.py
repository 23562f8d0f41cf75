"""Each row of the fault table, done to real processes: what the caller notices, what is logged."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.caller import Caller, calling
from tests.doubles.faulty_proxy import faulty_proxy
from tests.doubles.operator import OPERATOR
from tests.doubles.processes import START_LIMIT_S, free_port, gateway_process, worker_process
from tests.doubles.redis_server import running_redis


pytestmark = pytest.mark.process

Json = dict[str, Any]


async def start(caller: Caller) -> Json:
    await caller.send("session_start")
    return await caller.until("session_started")


async def ask(caller: Caller) -> Json:
    await caller.send("text_input", text="hola")
    return await caller.until("response_done")


async def read_json(url: str) -> tuple[int, Json]:
    async with aiohttp.ClientSession(headers=OPERATOR) as http, http.get(url) as answer:
        return answer.status, await answer.json()


async def test_a_killed_workers_calls_go_on_with_the_next_one(tmp_path: Path) -> None:
    port = free_port()
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(worker_process(tmp_path, port))
        # What the caller waits is the start of the second process, long where many others run.
        gateway = await stack.enter_async_context(
            gateway_process(tmp_path, port, worker={"replace_timeout_s": START_LIMIT_S})
        )
        caller = await stack.enter_async_context(calling(gateway.url))
        await start(caller)
        worker.signal(signal.SIGKILL)
        await gateway.logged("worker_lost_in_session")
        await stack.enter_async_context(worker_process(tmp_path, port, "second"))
        assert (await caller.until("warning"))["code"] == "degraded"
        assert (await ask(caller))["status"] == "completed"


async def test_a_killed_worker_without_another_ends_its_calls_by_name(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, worker={"replace_timeout_s": 1.0}) as gateway,
    ):
        async with calling(gateway.url) as caller:
            await start(caller)
            worker.signal(signal.SIGKILL)
            assert (await caller.until("session_ended"))["reason"] == "speaker_lost"
            assert await caller.closed() == 4502
        async with calling(gateway.url) as caller:
            await caller.send("session_start")
            error = await caller.until("error")
            assert (error["code"], error["retryable"]) == ("mode_unavailable", True)
        assert "speaker_lost" in gateway.log


async def test_a_frozen_worker_is_noticed_and_the_caller_can_still_hang_up(
    tmp_path: Path,
) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port) as gateway,
        calling(gateway.url) as patient,
        calling(gateway.url) as leaving,
    ):
        await start(patient)
        await start(leaving)
        worker.signal(signal.SIGSTOP)
        # Far more than any buffer between here and the worker: control must not wait behind it.
        for _ in range(400):
            await leaving.socket.send_bytes(bytes(48_000))
        await leaving.send("session_end")
        assert (await leaving.until("session_ended"))["reason"] == "client_ended"
        await gateway.logged("worker_lost_in_session")
        worker.signal(signal.SIGCONT)
        assert (await patient.until("warning"))["code"] == "degraded"
        assert (await ask(patient))["status"] == "completed"


async def test_a_slow_worker_line_delays_and_loses_nothing(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        faulty_proxy(worker.port) as proxy,
        gateway_process(tmp_path, proxy.port) as gateway,
        calling(gateway.url) as caller,
    ):
        await start(caller)
        proxy.delay_s = 0.1
        assert (await ask(caller))["status"] == "completed"
        assert (await caller.until("transcript_heard"))["complete"] is True


async def test_a_dropped_worker_line_is_made_again_and_a_refused_one_is_named(
    tmp_path: Path,
) -> None:
    async with (
        worker_process(tmp_path) as worker,
        faulty_proxy(worker.port) as proxy,
        gateway_process(tmp_path, proxy.port, worker={"replace_timeout_s": 1.0}) as gateway,
    ):
        async with calling(gateway.url) as caller:
            await start(caller)
            proxy.drop()
            assert (await caller.until("warning"))["code"] == "degraded"
            assert (await ask(caller))["status"] == "completed"
            proxy.refusing = True
            proxy.drop()
            assert (await caller.until("session_ended"))["reason"] == "speaker_lost"
        async with calling(gateway.url) as caller:
            await caller.send("session_start")
            error = await caller.until("error")
            assert (error["code"], error["retryable"]) == ("mode_unavailable", True)


async def test_a_network_that_resets_and_stalls_costs_the_caller_no_event(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port) as gateway,
        faulty_proxy(gateway.port) as proxy,
        AsyncExitStack() as stack,
    ):
        caller = await stack.enter_async_context(calling(proxy.url))
        token = (await start(caller))["resume_token"]
        await caller.send("text_input", text="hola")
        audio, kinds = bytearray(), []
        for _ in range(3):
            already = len(caller.audio)
            while len(caller.audio) < already + 960 * 10:
                await caller._receive("audio")
            proxy.drop()
            audio += caller.audio
            kinds += caller.kinds()
            received = caller.received
            caller = await stack.enter_async_context(calling(proxy.url))
            await caller.send("session_resume", resume_token=token, received=received)
            await caller.until("session_resumed")
            caller.received = received
        done = await caller.until("audio_done")
        await caller.until("transcript_heard")
        audio += caller.audio
        kinds += caller.kinds()
        assert len(audio) == done["duration_ms"] * 48
        assert kinds.count("audio_started") == kinds.count("response_done") == 1


async def test_redis_lost_keeps_live_calls_and_admits_new_ones_alone(tmp_path: Path) -> None:
    with running_redis() as redis:
        sections: Json = {
            "redis": {"url": redis.url, "lease_s": 3.0},
            "limits": {"max_sessions": 2},
        }
        async with (
            worker_process(tmp_path) as worker,
            gateway_process(tmp_path, worker.port, **sections) as gateway,
            calling(gateway.url) as live,
        ):
            await start(live)
            redis.stop()
            async with calling(gateway.url) as new:
                await start(new)
                assert (await ask(new))["status"] == "completed"
                async with calling(gateway.url) as third:
                    await third.send("session_start")
                    assert (await third.until("error"))["code"] == "too_many_sessions"
                status, ready = await read_json(f"{gateway.url}/readyz")
                assert (status, ready["ready"]) == (200, True)
                assert ready["degraded"] == [
                    "Redis does not answer: limits hold on this gateway alone"
                ]
                assert (await ask(live))["status"] == "completed"
            assert gateway.log.count("shared_store_lost") == 1
            redis.start()
            await gateway.logged("shared_store_back")
            assert (await read_json(f"{gateway.url}/readyz"))[1]["degraded"] == []


async def test_a_gateway_killed_gives_its_places_back_and_hangs_up_reach_the_other(
    tmp_path: Path,
) -> None:
    with running_redis() as redis:
        sections: Json = {
            "redis": {"url": redis.url, "lease_s": 3.0},
            "limits": {"max_sessions": 1},
        }
        async with AsyncExitStack() as stack:
            worker = await stack.enter_async_context(worker_process(tmp_path))
            one, other = [
                await stack.enter_async_context(
                    gateway_process(tmp_path, worker.port, name=name, **sections)
                )
                for name in ("one", "other")
            ]
            caller = await stack.enter_async_context(calling(one.url))
            session_id = (await start(caller))["session_id"]
            assert await _refusal(other.url) == "too_many_sessions"
            async with aiohttp.ClientSession(headers=OPERATOR) as http:
                path = f"{other.url}/admin/v1/sessions/{session_id}/hang-up"
                async with http.post(path) as hung_up:
                    assert hung_up.status == 202
            assert (await caller.until("session_ended"))["reason"] == "operator"

            held = await stack.enter_async_context(calling(one.url))
            await start(held)
            one.signal(signal.SIGKILL)
            async with asyncio.timeout(60):
                while await _refusal(other.url):
                    await asyncio.sleep(0.2)


async def _refusal(url: str) -> str:
    """The code with which a session is refused; empty when it starts."""
    async with calling(url) as caller:
        await caller.send("session_start")
        while True:
            await caller._receive("an answer")
            for event in caller.events:
                if event["type"] == "error":
                    return str(event["code"])
                if event["type"] == "session_started":
                    return ""


async def test_a_host_that_cannot_be_resolved_is_named_as_such(tmp_path: Path) -> None:
    modes = {"SELF_HOSTED": {"endpoint": "ws://no-such-host.invalid:9/v1/realtime"}}
    async with gateway_process(tmp_path, 1, penny={"modes": modes}) as gateway:
        async with calling(gateway.url) as caller:
            await caller.send("session_start")
            error = await caller.until("error")
        assert (error["code"], error["retryable"]) == ("mode_unavailable", True)
        assert "cannot be reached" in error["message"]
        records = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
        (logged,) = [one for one in records if one["event"] == "mode_unavailable"]
        assert "DNS" in logged["reason"] or "cannot be reached" in logged["reason"]


async def test_a_broken_key_file_refuses_callers_and_not_the_gateway(tmp_path: Path) -> None:
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port) as gateway,
    ):
        (tmp_path / "keys.sqlite").write_bytes(b"what a full disk left of it" * 100)
        async with calling(gateway.url, key="penny_any") as caller:
            error = await caller.until("error")
            assert (error["code"], error["retryable"]) == ("unauthorized", True)
        assert "keys_unreadable" in gateway.log
        async with calling(gateway.url) as caller:
            await start(caller)
