"""Workers at a fixed address: which secret goes where, and the address that does not exist."""

from __future__ import annotations

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from modes.self_hosted.remote import RemoteWorker
from penny.errors import ModeUnavailable
from penny.session.mode import SessionSpec


pytestmark = pytest.mark.socket


SPEC = SessionSpec("sess_1", "es")


async def test_the_specifications_address_is_taken_with_one_clear_warning() -> None:
    worker = RemoteWorker("wss://api.runpod.ai/v2/abc/ws", None, {})
    with capture_logs() as logs:
        await worker.start()
    assert [entry["event"] for entry in logs] == ["endpoint_has_no_websocket"]
    assert "load balancer" in logs[0]["remedy"]
    assert worker.availability().available


async def test_a_load_balancer_asks_for_runpods_key() -> None:
    url = "wss://abc.api.runpod.ai/v1/realtime"
    without = RemoteWorker(url, None, {}).availability()
    assert (without.available, without.reason) == (False, "RUNPOD_API_KEY is not set")
    keyed = RemoteWorker(url, None, {"RUNPOD_API_KEY": "k", "PENNY_WORKER_TOKEN": "t"})
    assert keyed._headers() == {"Authorization": "Bearer k"}
    assert keyed.availability().available


async def test_another_worker_gets_the_workers_token_and_never_runpods_key() -> None:
    secrets = {"RUNPOD_API_KEY": "k", "PENNY_WORKER_TOKEN": "t"}
    worker = RemoteWorker("wss://api.runpod.ai.evil.example/x", None, secrets)
    assert worker._headers() == {"Authorization": "Bearer t"}


async def test_a_worker_that_refuses_says_with_which_status() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=403)

    app = web.Application()
    app.router.add_get("/v1/realtime", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/realtime"
    with pytest.raises(ModeUnavailable, match="HTTP 403"):
        await RemoteWorker(url, None, {}).acquire(SPEC)
    await runner.cleanup()
