"""What leads into the house is not connected to, however it is written; a trap listens there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from modes.self_hosted.private_http import open_private_http
from penny.aio.allow_list import AllowList
from penny.trust.addresses import InwardAddress
from penny.trust.public_http import open_public_http


pytestmark = pytest.mark.socket


class Trap:
    """A service of the house that no stranger's address may reach, on IPv4 and IPv6."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.asked: list[str] = []
        self.cookies: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        self.cookies.append(dict(request.cookies))
        if request.path == "/redirect":
            raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{self.port}/inner")
        answer = web.json_response({"secret": True})
        answer.set_cookie("sid", "of the caller before")
        return answer


@asynccontextmanager
async def listening(trap: Trap) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", trap.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    handler = runner.server
    assert handler is not None

    def count() -> object:
        trap.connections += 1
        return handler()

    both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    trap.port = both.getsockname()[1]
    server = await asyncio.get_running_loop().create_server(count, sock=both)  # type: ignore[arg-type]
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
        await runner.cleanup()


@pytest_asyncio.fixture
async def trap() -> AsyncIterator[Trap]:
    trap = Trap()
    async with listening(trap):
        yield trap


class Names(AbstractResolver):
    """A name server in a stranger's hands: each question gets the next answer."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        return None


LITERAL = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "localhost.",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "user:secret@127.0.0.1",
    "example.com@127.0.0.1",
]


@pytest.mark.parametrize("host", LITERAL)
async def test_an_inward_address_is_not_connected_to_however_it_is_written(
    trap: Trap, host: str
) -> None:
    async with open_public_http() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"http://{host}:{trap.port}/")
    assert trap.connections == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254"]
)
async def test_a_name_that_leads_inward_is_not_connected_to(trap: Trap, address: str) -> None:
    async with open_public_http(inner=Names(address)) as http:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await http.get(f"http://evil.example:{trap.port}/")
    assert isinstance(refused.value.os_error, InwardAddress)
    assert trap.connections == 0


async def test_a_name_that_changes_its_address_is_judged_by_the_one_connected_to(
    trap: Trap,
) -> None:
    # Public when it is looked at, inward when it is asked again: DNS rebinding.
    names = Names("192.0.2.1", "127.0.0.1")
    names.answers = ["8.8.8.8", "127.0.0.1"]
    looked_at = await names.resolve("rebind.example")
    assert looked_at[0]["host"] == "8.8.8.8"
    async with open_public_http(inner=names) as http:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await http.get(f"http://rebind.example:{trap.port}/")
    assert isinstance(refused.value.os_error, InwardAddress)
    assert trap.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "crm.example"])
async def test_what_was_named_is_reached_and_nothing_beside_it(trap: Trap, host: str) -> None:
    other = Trap()
    async with listening(other):
        named = f"http://{host}:{trap.port}/ask"
        names = Names("127.0.0.1")
        async with open_public_http([named], inner=names) as http:
            async with http.get(named) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"http://{host}:{other.port}/")
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"http://another.example:{other.port}/")
    assert trap.asked == ["/ask"]
    assert other.connections == 0


async def test_a_proxy_of_the_environment_is_not_asked(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{trap.port}")
    async with open_public_http(inner=Names("127.0.0.1")) as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get("http://evil.example/")
    assert trap.connections == 0


async def test_what_a_server_remembers_of_one_caller_is_not_sent_with_another(trap: Trap) -> None:
    # By name: of a bare address no client keeps cookies.
    url = f"http://localhost:{trap.port}/"
    for client in (open_public_http([url]), open_private_http(AllowList())):
        async with client as http:
            for _ in range(2):
                async with http.get(url) as answer:
                    assert "sid" in answer.cookies
    assert trap.cookies == [{}] * 4
