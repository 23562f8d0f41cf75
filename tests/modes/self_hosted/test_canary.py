"""The daily sign of life of a RunPod endpoint, against the control plane's double."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from modes.self_hosted.canary import CHECK_EVERY_S, Canary
from modes.self_hosted.runpod.api import RunpodApi
from penny.aio.files import write_whole
from tests.doubles.runpod_server import ENDPOINT, KEY, RunpodServer


pytestmark = pytest.mark.virtual_time

EVERY_S = 4 * 3600.0
NOW_S = 1_800_000_000.0


@dataclass
class Mine:
    """An endpoint, its canary, and whether a worker is rented."""

    server: RunpodServer
    canary: Canary
    leased: bool = False

    async def answer(self, status: str = "COMPLETED") -> None:
        await self.server.arrived.wait()
        self.server.arrived.clear()
        job = self.server.queue.popleft()
        job.status = status
        job.done.set()


@asynccontextmanager
async def endpoint(folder: Path, key: str = KEY) -> AsyncIterator[Mine]:
    server = RunpodServer()
    await server.start()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    kept = folder / "canary.json"
    if not kept.exists():
        write_whole(kept, json.dumps({"asked": NOW_S - 2 * EVERY_S}))
    async with aiohttp.ClientSession() as http:
        api = RunpodApi(
            http,
            api_url=server.api_url,
            rest_url=server.rest_url,
            endpoint_id=ENDPOINT,
            key=SecretStr(key),
        )
        mine: Mine
        canary = Canary(
            api,
            kept,
            is_leased=lambda: mine.leased,
            every_s=EVERY_S,
            answer_within_s=180.0,
            now_s=lambda: NOW_S + loop.time() - began_s,
        )
        mine = Mine(server, canary)
        try:
            yield mine
        finally:
            await canary.aclose()
            await server.aclose()


async def test_an_endpoint_is_asked_once_a_day_and_says_that_it_lives(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as mine:
        mine.canary.start()
        await mine.answer()
        await asyncio.sleep(EVERY_S / 2)
        assert [job.input for job in mine.server.jobs.values()] == [{"kind": "canary"}]
        assert mine.canary.reason == ""
        answering = asyncio.create_task(mine.answer())
        await asyncio.sleep(EVERY_S / 2 + CHECK_EVERY_S)
        await answering
        assert len(mine.server.jobs) == 2


async def test_a_restart_asks_no_sooner(tmp_path: Path) -> None:
    for _ in range(2):
        async with endpoint(tmp_path) as mine:
            mine.canary.start()
            await asyncio.sleep(60)
            asked = len(mine.server.jobs)
    assert asked == 0


async def test_an_endpoint_that_is_new_here_is_not_asked_at_once(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as mine:
        (tmp_path / "canary.json").unlink()
        mine.canary.start()
        await asyncio.sleep(EVERY_S - 2 * CHECK_EVERY_S)
        assert mine.server.jobs == {}
        await asyncio.sleep(3 * CHECK_EVERY_S)
        assert len(mine.server.jobs) == 1


async def test_a_rented_worker_is_sign_enough(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as mine:
        mine.leased = True
        mine.canary.start()
        await asyncio.sleep(3 * EVERY_S)
        assert mine.server.jobs == {}
        mine.leased = False
        answering = asyncio.create_task(mine.answer())
        await asyncio.sleep(EVERY_S / 2)
        assert mine.server.jobs == {}
        await asyncio.sleep(EVERY_S)
        await answering
        assert len(mine.server.jobs) == 1


async def test_an_endpoint_that_starts_no_worker_is_told_and_the_job_taken_back(
    tmp_path: Path,
) -> None:
    async with endpoint(tmp_path) as mine:
        mine.canary.start()
        await asyncio.sleep(300)
        assert "no worker answered within 180 s" in mine.canary.reason
        assert mine.server.cancelled == ["job-1"]


async def test_a_failed_canary_and_a_refused_key_are_told(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as mine:
        mine.canary.start()
        await mine.answer("FAILED")
        await asyncio.sleep(120)
        assert "FAILED" in mine.canary.reason
    async with endpoint(tmp_path / "other", key="wrong") as mine:
        mine.canary.start()
        await asyncio.sleep(30)
        assert "key" in mine.canary.reason
