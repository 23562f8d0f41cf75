"""The client of private sessions reaches configured hosts and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from config.schema import Config
from modes.self_hosted.private_http import hosts_of, open_private_http
from penny.aio.allow_list import AllowList, EgressRefused


pytestmark = pytest.mark.socket


@pytest.fixture
async def server() -> AsyncIterator[int]:
    async def greet(_request: web.Request) -> web.Response:
        return web.Response(text="hola")

    app = web.Application()
    app.router.add_get("/", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://192.0.2.1/", "192.0.2.1"), ("wss://tracker.invalid/x", "tracker.invalid")],
)
async def test_another_host_is_refused_before_anything_is_sent(url: str, host: str) -> None:
    hosts = AllowList()
    async with open_private_http(hosts) as http:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await http.get(url.replace("wss", "https"))

    assert isinstance(refused.value.os_error, EgressRefused)
    assert hosts.refused == {host: 1}


async def test_a_redirect_to_another_host_is_refused_too(server: int) -> None:
    hosts = AllowList()

    async def lead_away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://192.0.2.1/")

    app = web.Application()
    app.router.add_get("/", lead_away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with open_private_http(hosts) as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await runner.cleanup()

    assert hosts.refused == {"192.0.2.1": 1}


async def test_loopback_is_reached_and_no_proxy_is_asked(
    server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    async with (
        open_private_http(AllowList()) as http,
        http.get(f"http://localhost:{server}/") as response,
    ):
        assert await response.text() == "hola"


def test_the_configuration_names_the_hosts() -> None:
    config = Config.model_validate(
        {
            "penny": {"modes": {"SELF_HOSTED": {"endpoint": "wss://gpu.example:8443/v1/realtime"}}},
            "privacy": {"allowed_hosts": ["cache.example:6379"]},
            "runpod": {"endpoint_id": "ep1", "gateway_url": "wss://penny.example/worker"},
        }
    )
    hosts = hosts_of(config)

    assert hosts.allows("gpu.example", 8443)
    assert hosts.allows("cache.example", 6379)
    assert hosts.allows("api.runpod.ai", 443)
    assert not hosts.allows("gpu.example", 443)
    assert not hosts.allows("api.openai.com", 443)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("redis://shared.example:6380/2", "shared.example", 6380),
        ("rediss://shared.example", "shared.example", 6379),
    ],
)
def test_the_shared_redis_is_a_configured_host_by_itself(url: str, host: str, port: int) -> None:
    hosts = hosts_of(Config.model_validate({"redis": {"url": url}}))

    assert hosts.allows(host, port)
    assert not hosts.allows(host, 443)
    assert not hosts_of(Config()).allows(host, port)


def test_a_redis_on_a_unix_socket_adds_no_host() -> None:
    hosts = hosts_of(Config.model_validate({"redis": {"url": "unix:///run/redis.sock"}}))

    assert not hosts.allows("run", None)
