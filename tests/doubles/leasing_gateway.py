"""A gateway as far as leased workers know it: the door they dial, and the source behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from config.runpod import RunpodSection
from modes.self_hosted.mode import SelfHostedMode
from modes.self_hosted.runpod.api import RunpodApi
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.door import WorkerDoor
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.source import RunpodWorkers
from penny.session.mode import SessionSpec, Speaker
from penny.trust.redis_store import connect_redis
from tests.doubles.http import start_app, url_of
from tests.doubles.runpod_server import ENDPOINT, KEY, RunpodServer


REDIS_TIMEOUT_S = 1.0


class LeasingGateway:
    """Args:
    redis_url: shared with other gateways; empty: this one is alone.
    lease_s: after so long in silence the others take it for dead.
    gateway_url: as workers reach it, where that is not its own address.
    """

    def __init__(self, server: RunpodServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.url = ""
        self.source: RunpodWorkers
        self.mode: SelfHostedMode
        self.pool: LeasePool | None = None
        self.http: aiohttp.ClientSession
        self._runner: web.AppRunner

    async def start(
        self,
        *,
        redis_url: str = "",
        lease_s: float = 2.5,
        worker_returns_s: float = 1.0,
        gateway_url: str = "",
        port: int = 0,
        **settings: Any,
    ) -> None:
        app = web.Application()
        self.http = aiohttp.ClientSession()
        late: list[WorkerDoor] = []

        async def door(request: web.Request) -> web.StreamResponse:
            return await late[0](request)

        app.router.add_get("/worker", door)
        self._runner = await start_app(app, shutdown_s=0.5, port=port)
        self.url = f"{url_of(self._runner).replace('http', 'ws')}/worker"
        section = RunpodSection(
            endpoint_id=ENDPOINT,
            gateway_url=gateway_url or self.url,
            **{"slots": 2, "usd_per_hour": 3600.0, "state": self.folder, **settings},
        )
        clock = asyncio.get_running_loop().time
        if redis_url:
            self.pool = LeasePool(
                connect_redis(redis_url, None, REDIS_TIMEOUT_S),
                prefix=f"test:runpod:{ENDPOINT}",
                lease_s=lease_s,
                timeout_s=REDIS_TIMEOUT_S,
                usd_per_hour=section.usd_per_hour,
                clock=clock,
            )
        self.source = RunpodWorkers(
            section,
            RunpodApi(
                self.http,
                api_url=self.server.api_url,
                rest_url=self.server.rest_url,
                endpoint_id=ENDPOINT,
                key=SecretStr(KEY),
            ),
            LeaseBook(self.folder / "leases.json"),
            ColdStarts(self.folder / "cold_starts.json"),
            session_max_s=3600,
            clock=clock,
            pool=self.pool,
            worker_returns_s=worker_returns_s,
        )
        late.append(WorkerDoor(self.source.registry))
        self.mode = SelfHostedMode(self.source, excuse={"es": "Perdone."}, replace_within_s=10)
        await self.source.start()

    async def open(self, name: str = "sess_1", **spec: Any) -> Speaker:
        async with asyncio.timeout(60):
            return await self.mode.open(SessionSpec(name, "es", **spec))

    async def die(self) -> None:
        """As after ``kill -9``: nobody is told, every socket breaks."""
        await self.source._tasks.aclose()
        if self.pool is not None:
            await self.pool._redis.aclose()
        self.source._book.close()
        for lease in self.source.registry.leases.values():
            if lease.control is not None:
                lease.control.abort()
            for slot in lease.spare:
                slot.socket.abort()
        self.source.registry.leases.clear()
        await self.source.registry.aclose()
        await self._runner.cleanup()
        await self.http.close()

    async def aclose(self) -> None:
        await self.source.aclose()

    async def close_door(self) -> None:
        await self._runner.cleanup()
        await self.http.close()
