"""WebSockets taken over from aiohttp and dialled, over real sockets."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from penny.aio.allow_list import AllowList, EgressRefused
from penny.aio.dial import HandshakeError, dial
from penny.aio.handshake import Upgrade
from penny.aio.websocket import SocketConnection
from penny.errors import ProtocolError


pytestmark = pytest.mark.socket


HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: penny\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Echo:
    """Sends back what comes, after ``ready``."""

    def __init__(self, connection: SocketConnection) -> None:
        self._connection = connection

    def on_message(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._connection.send_text(message.encode())
        else:
            self._connection.send_binary(message)

    def on_writable(self) -> None: ...

    def on_closed(self) -> None: ...


class Server:
    """Pages and WebSockets on one port; ``seen`` are the connections taken over."""

    def __init__(self) -> None:
        self.seen: list[SocketConnection] = []
        self.url = ""

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=await request.text() or "hola")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        try:
            upgrade = Upgrade(request, max_message_bytes=1_000_000, subprotocols=("penny",))
        except ProtocolError as error:
            return web.Response(status=426, text=error.message)
        async with upgrade.accepted() as connection:
            self.seen.append(connection)
            connection.start(Echo(connection))
            await connection.wait_closed()
        return upgrade.response


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/page", server.page)
    app.router.add_route("*", "/ws", server.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def talk(server: Server) -> None:
    """Pages, an upgrade of a connection that has served them, and messages of every size."""
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as http:
        async with http.get(f"{server.url}/page") as page:
            assert await page.text() == "hola"
        async with http.post(f"{server.url}/page", data="x" * 100_000) as page:
            assert len(await page.text()) == 100_000
        async with http.ws_connect(f"{server.url}/ws", protocols=("other", "penny")) as socket:
            assert socket.protocol == "penny"
            for size in (1, 200, 70_000, 900_000):
                await socket.send_bytes(bytes(size))
                assert len((await socket.receive()).data) == size
            await socket.send_str("señal")
            assert (await socket.receive()).data == "señal"
            await socket.close(code=4321)
            assert socket.close_code == 4321
    await server.seen[-1].wait_closed()
    assert server.seen[-1].close_code == 4321


async def test_pages_and_calls_share_a_port_and_a_connection() -> None:
    async with serving() as server:
        await talk(server)


def test_it_is_so_on_the_loop_that_the_gateway_runs_on() -> None:
    async def run() -> None:
        async with serving() as server:
            await talk(server)
            socket = await dial(f"{server.url.replace('http', 'ws')}/ws", {})
            socket.send_text(b"hola")
            assert await socket.receive() == "hola"
            await socket.close()

    uvloop.run(run())


def live_connections() -> list[SocketConnection]:
    gc.collect()
    return [o for o in gc.get_objects() if isinstance(o, SocketConnection)]


async def test_many_calls_leave_no_task_and_no_connection_behind() -> None:
    earlier = live_connections()  # of other tests: what they left is theirs
    async with serving() as server:
        url = f"{server.url.replace('http', 'ws')}/ws"
        for number in range(100):
            socket = await dial(url, {})
            socket.send_binary(b"hola")
            assert await socket.receive() == b"hola"
            if number % 2:
                socket.abort()
            await socket.close()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
        server.seen.clear()
        del socket
        gc.collect()
        assert [o for o in live_connections() if all(o is not old for old in earlier)] == []


async def test_who_sends_before_the_answer_is_not_served_what_was_sent() -> None:
    async with serving() as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        early = b"\x81\x82\x00\x00\x00\x00hi"
        writer.write(HEAD + early)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        writer.write(b"\x81\x82\x00\x00\x00\x00ho")
        assert await reader.readexactly(4) == b"\x81\x02ho"
        writer.close()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("POST", {}),
        ("GET", {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "short"}),
        ("GET", {"Upgrade": "h2c", "Connection": "Upgrade"}),
    ],
)
async def test_what_is_no_websocket_is_refused_and_the_port_goes_on(
    method: str, headers: dict[str, str]
) -> None:
    async with serving() as server, aiohttp.ClientSession() as http:
        async with http.request(method, f"{server.url}/ws", headers=headers) as refused:
            assert refused.status == 426
        await talk(server)


async def test_a_handler_that_leaves_closes_its_connection() -> None:
    async def leave(request: web.Request) -> web.StreamResponse:
        upgrade = Upgrade(request)
        async with upgrade.accepted() as connection:
            connection.send_text(b"bye")
        return upgrade.response

    app = web.Application()
    app.router.add_get("/ws", leave)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    socket = await dial(f"ws://127.0.0.1:{runner.addresses[0][1]}/ws", {})
    assert await socket.receive() == "bye"
    assert await socket.receive() is None
    assert socket.close_code == 1001
    await socket.wait_closed()
    await runner.cleanup()


async def test_a_client_that_reads_nothing_fills_its_connection_and_no_more_than_that() -> None:
    async with serving() as server:
        socket = await dial(f"{server.url.replace('http', 'ws')}/ws", {})
        socket.pause()
        [connection] = server.seen
        sent = 0
        while not connection.is_full:
            connection.send_binary(bytes(60_000))
            sent += 1
            await asyncio.sleep(0)
        assert connection.buffered > 65_536
        draining = asyncio.create_task(connection.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        taken: list[Any] = []
        reading = asyncio.create_task(_take(socket, taken, sent))
        socket.resume()
        await draining
        await reading
        assert not connection.is_full
        assert sum(map(len, taken)) == sent * 60_000
        await socket.close()


async def _take(socket: SocketConnection, taken: list[Any], count: int) -> None:
    while len(taken) < count:
        taken.append(await socket.receive())


async def test_a_refusal_tells_its_status_and_a_redirect_is_not_followed() -> None:
    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://192.0.2.1/")

    app = web.Application()
    app.router.add_get("/moved", redirect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    for path, status in (("/moved", 302), ("/nowhere", 404)):
        with pytest.raises(HandshakeError) as refused:
            await dial(url + path, {})
        assert refused.value.status == status
    await runner.cleanup()
    with pytest.raises(OSError, match="Connect call failed"):
        await dial(url, {})
    with pytest.raises(HandshakeError):
        await dial("http://127.0.0.1/", {})


async def test_a_server_that_hangs_up_before_it_answers_is_told_of() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    with pytest.raises(HandshakeError):
        await dial(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {})
    server.close()


async def test_only_configured_hosts_are_dialled_by_name_and_by_address() -> None:
    hosts = AllowList()
    for url in ("ws://192.0.2.1/", "wss://tracker.invalid/x"):
        with pytest.raises(EgressRefused):
            await dial(url, {}, hosts=hosts)
    assert hosts.refused == {"192.0.2.1": 1, "tracker.invalid": 1}
    async with serving() as server:
        port = server.url.rpartition(":")[2]
        socket = await dial(f"ws://localhost:{port}/ws", {}, hosts=hosts)
        await socket.close()


async def test_a_proxy_tunnels_and_one_that_does_not_is_named() -> None:
    asked: list[bytes] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        if b"Basic dTpw" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            writer.close()
            return
        host, port = head.split(b" ")[1].decode().split(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
            sink.close()

        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    async with serving() as server:
        proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        at = f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        url = f"{server.url.replace('http', 'ws')}/ws"
        socket = await dial(url, {}, proxy=f"http://u:p@{at}")
        socket.send_text(b"hola")
        assert await socket.receive() == "hola"
        await socket.close()
        with pytest.raises(HandshakeError, match="no tunnel"):
            await dial(url, {}, proxy=f"http://{at}")
        assert asked[0].startswith(b"CONNECT 127.0.0.1:")
        proxy.close()
        await proxy.wait_closed()
