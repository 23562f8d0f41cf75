"""What stands around a call breaks while calls go on: documents, disk, clock, Redis frozen."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.caller import Caller, calling
from tests.doubles.moved_clock import OFF_BY
from tests.doubles.operator import OPERATOR
from tests.doubles.processes import gateway_process, make_key, worker_process
from tests.doubles.realtime_server import Connection, RealtimeDouble
from tests.doubles.redis_server import running_redis
from tests.doubles.small_disk import gateway_on_small_disk


pytestmark = pytest.mark.process

Json = dict[str, Any]

DAY_S = 86_400
INVOICES = "# Facturas\n\nSu factura vence el quince de enero.\n"
HOURS = "# Horarios\n\nAbrimos a las nueve de la mañana.\n"


async def read(url: str, key: str = "") -> Json:
    headers = {"Authorization": f"Bearer {key}"} if key else OPERATOR
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
        told: Json = await answer.json()
        return told


async def metric(url: str, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def until(ready: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a state that a process shows."""
    async with asyncio.timeout(60):
        while not await ready():
            await asyncio.sleep(0.05)


async def start(caller: Caller) -> Json:
    await caller.send("session_start")
    return await caller.until("session_started")


async def ask(caller: Caller) -> Json:
    await caller.send("text_input", text="hola")
    return await caller.until("response_done")


def write_documents(folder: Path, **texts: str) -> Path:
    collection = folder / "documents" / "empresa" / "documentos"
    collection.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (collection / f"{name}.md").write_text(text, encoding="utf-8")
    return folder / "documents"


async def finds(url: str, words: str) -> bool:
    answer = await read(f"{url}/v1/kb/search?q={words}")
    return bool(answer.get("relevant"))


# -- documents --------------------------------------------------------------------------------


async def test_documents_that_go_are_still_answered_from_and_followed_when_they_are_back(
    tmp_path: Path,
) -> None:
    documents = write_documents(tmp_path, facturas=INVOICES)
    kb = {"documents": str(documents), "index": str(tmp_path / "index")}
    async with (
        worker_process(tmp_path) as worker,
        gateway_process(tmp_path, worker.port, kb=kb) as gateway,
        calling(gateway.url) as caller,
    ):
        await gateway.logged("kb_indexed")
        await start(caller)
        await until(lambda: finds(gateway.url, "cuándo vence mi factura"))
        assert (await read(f"{gateway.url}/readyz"))["degraded"] == []

        away = documents.rename(tmp_path / "away")
        await gateway.logged("kb_documents_missing")
        assert await finds(gateway.url, "cuándo vence mi factura")
        assert (await ask(caller))["status"] == "completed"
        ready = await read(f"{gateway.url}/readyz")
        assert ready["ready"] is True
        assert ["documents" in fault for fault in ready["degraded"]] == [True]
        assert await metric(gateway.url, "penny_knowledge_base_up") == 0

        shutil.copytree(away, documents)
        write_documents(tmp_path, horarios=HOURS)
        await gateway.logged("kb_documents_back")
        await until(lambda: finds(gateway.url, "a qué hora abrimos por la mañana"))
        assert (await ask(caller))["status"] == "completed"
        assert (await read(f"{gateway.url}/readyz"))["degraded"] == []
        assert await metric(gateway.url, "penny_knowledge_base_up") == 1
        assert gateway.log.count("kb_documents_missing") == 1


# -- disk -------------------------------------------------------------------------------------


def external(folder: Path, speaker: RealtimeDouble, claude: AnthropicDouble) -> Json:
    """EXTERNAL alone: documents on the machine's disk, all that Penny writes on the small one."""
    vendors = {"portavoz_base_url": speaker.base_url, "cerebro_base_url": claude.base_url}
    return {
        "penny": {
            "default_mode": "EXTERNAL",
            "modes": {"SELF_HOSTED": {"enabled": False}, "EXTERNAL": vendors},
        },
        "kb": {
            "documents": str(write_documents(folder, facturas=INVOICES)),
            "index": str(folder / "disk" / "kb"),
        },
        "calls": {"folder": str(folder / "disk" / "calls")},
        "keys": {"file": str(folder / "disk" / "keys.sqlite")},
        "logs": {"format": "json"},
    }


KEYS = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant-test"}


async def turn(caller: Caller, upstream: Connection) -> None:
    await caller.send("text_input", text="Cómo se paga esto, por favor")
    await upstream.answer("Por banco.")
    assert (await caller.until("response_done"))["status"] == "completed"


async def test_a_full_disk_costs_the_record_and_never_the_call(tmp_path: Path) -> None:
    async with RealtimeDouble() as speaker, AnthropicDouble() as claude:
        claude.on("turn", None, answer=folio("Consulta sobre pagos"), times=None)
        claude.on("review", None, answer=folio("Consulta sobre pagos"), times=None)
        sections = external(tmp_path, speaker, claude)
        async with (
            gateway_on_small_disk(tmp_path, sections, **KEYS) as disk,
            calling(disk.gateway.url) as caller,
        ):
            gateway = disk.gateway
            await gateway.logged("kb_indexed")
            await start(caller)
            upstream = await speaker.connection()
            await turn(caller, upstream)
            disk.fill()
            write_documents(tmp_path, horarios=HOURS)
            await gateway.logged("kb_refresh_failed")
            while "calls_not_kept" not in gateway.log:
                await turn(caller, upstream)
            ready = await read(f"{gateway.url}/readyz")
            assert ready["ready"] is True
            told = " ".join(ready["degraded"])
            assert "No space left on device" in told
            assert "knowledge base: the index does not keep up" in told
            assert await finds(gateway.url, "cuándo vence mi factura")
            async with calling(gateway.url) as second:
                await start(second)
                await turn(second, await speaker.connection())

            disk.free()
            await gateway.logged("kb_refreshed_again")
            await until(lambda: finds(gateway.url, "a qué hora abrimos por la mañana"))
            while "calls_kept_again" not in gateway.log:
                await turn(caller, upstream)
                await asyncio.sleep(0.5)
            assert (await read(f"{gateway.url}/readyz"))["degraded"] == []
            for once in ("calls_not_kept", "kb_refresh_failed", "calls_kept_again"):
                assert gateway.log.count(once) == 1, once
            await caller.send("session_end")
            assert (await caller.until("session_ended"))["reason"] == "client_ended"
            await gateway.logged("session_ended")


async def test_a_log_that_cannot_be_written_ends_no_call(tmp_path: Path) -> None:
    async with RealtimeDouble() as speaker, AnthropicDouble() as claude:
        claude.on("turn", None, answer=folio("Consulta sobre pagos"), times=None)
        claude.on("review", None, answer=folio("Consulta sobre pagos"), times=None)
        sections = external(tmp_path, speaker, claude)
        async with gateway_on_small_disk(tmp_path, sections, log_on_disk=True, **KEYS) as disk:
            url = disk.gateway.url
            disk.fill()
            while not await metric(url, "penny_log_lines_lost_total"):
                async with calling(url) as caller:
                    await start(caller)
                    await turn(caller, await speaker.connection())
                    await caller.send("session_end")
                    assert (await caller.until("session_ended"))["reason"] == "client_ended"
                    await caller.closed()
            assert "log lines cannot be written" in (await read(f"{url}/readyz"))["degraded"]
            disk.free()
            async with calling(url) as caller:
                await start(caller)
                await turn(caller, await speaker.connection())
            assert '"log_lines_lost"' in (disk / "penny.log").read_text()


# -- clock ------------------------------------------------------------------------------------


async def mint(url: str, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{url}/v1/realtime/client_secrets", json={}) as answer,
    ):
        assert answer.status == 200, await answer.text()
        secret: str = (await answer.json())["value"]
        return secret


async def test_a_clock_that_is_set_ends_no_call_and_moves_only_what_is_dated(
    tmp_path: Path,
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    limits = {"sessions_per_minute": 60, "minutes_per_day": 600, "max_sessions": 10}
    sections: Json = {
        "keys": {"file": str(tmp_path / "keys.sqlite"), "required": "always"},
        "limits": limits,
    }
    (tmp_path / "gateway.yaml").write_text(f"keys: {{file: {tmp_path}/keys.sqlite}}\n")
    key = await make_key(tmp_path)
    moved = {OFF_BY: str(clock)}
    async with (
        worker_process(tmp_path, **moved) as worker,
        gateway_process(tmp_path, worker.port, environment=moved, **sections) as gateway,
        calling(gateway.url, key=key) as live,
    ):
        await start(live)
        secret = await mint(gateway.url, key)
        async with calling(gateway.url, key=secret) as browser:
            await start(browser)
        for off_by_s in (2 * DAY_S, -2 * DAY_S):
            clock.write_text(str(off_by_s))
            assert (await ask(live))["status"] == "completed"
            assert (await live.until("transcript_heard"))["complete"] is True
            await asyncio.sleep(1.2)  # the worker looks at its clock once a second
            assert (await ask(live))["status"] == "completed"
            await come_and_come_back(gateway.url, key)
            if off_by_s > 0:
                async with calling(gateway.url, key=secret) as late:
                    await late.send("session_start")
                    assert (await late.until("error"))["code"] == "unauthorized"
        await live.send("session_end")
        assert (await live.until("session_ended"))["reason"] == "client_ended"


async def come_and_come_back(url: str, key: str) -> None:
    """A new session, lost and resumed."""
    async with calling(url, key=key) as new:
        token = (await start(new))["resume_token"]
        assert (await ask(new))["status"] == "completed"
        new.vanish()
    async with calling(url, key=key) as back:
        await back.send("session_resume", resume_token=token, received=new.received)
        await back.until("session_resumed")


# -- Redis ------------------------------------------------------------------------------------


async def test_a_frozen_redis_delays_a_caller_by_its_timeout_and_no_live_call(
    tmp_path: Path,
) -> None:
    with running_redis() as redis:
        sections: Json = {
            "redis": {"url": redis.url, "lease_s": 3.0, "timeout_s": 0.5},
            "limits": {"max_sessions": 2},
        }
        async with (
            worker_process(tmp_path) as worker,
            gateway_process(tmp_path, worker.port, **sections) as gateway,
            calling(gateway.url) as live,
        ):
            await start(live)
            os.kill(redis.pid, signal.SIGSTOP)
            try:
                async with calling(gateway.url) as new:
                    await start(new)
                    assert (await ask(new))["status"] == "completed"
                    assert (await ask(live))["status"] == "completed"
                    ready = await read(f"{gateway.url}/readyz")
                    assert ready["degraded"][0].startswith("Redis does not answer")
                    assert await metric(gateway.url, "penny_shared_store_up") == 0
                # Asked once with a limit, then known to be gone.
                assert gateway.log.count("shared_store_lost") == 1
            finally:
                os.kill(redis.pid, signal.SIGCONT)
            await gateway.logged("shared_store_back")
            assert (await read(f"{gateway.url}/readyz"))["degraded"] == []
            assert (await ask(live))["status"] == "completed"
