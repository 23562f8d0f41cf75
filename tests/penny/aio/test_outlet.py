"""Against real sockets: small messages are written at once, in order, until nobody reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from penny.aio.outlet import ROOM_BYTES, Outlet


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[web.WebSocketResponse, aiohttp.ClientWebSocketResponse]]:
    """A server's socket and its client's; the server sends back what it gets."""
    opened: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()

    async def accept(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        opened.set_result(socket)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", accept)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(server.make_url("/"), compress=0) as client,
    ):
        yield await opened, client


async def test_messages_of_both_ways_of_sending_arrive_in_the_order_of_the_calls() -> None:
    async with pair() as (socket, client):
        outlet = Outlet(socket)
        assert outlet.write(b"\x01\x02", WSMsgType.BINARY)
        await socket.send_str("dos")
        assert outlet.write("tres, ñ".encode(), WSMsgType.TEXT)
        got = [await client.receive() for _ in range(3)]
        assert [message.data for message in got] == [b"\x01\x02", "dos", "tres, ñ"]


async def test_a_client_side_socket_masks_what_is_written_at_once() -> None:
    async with pair() as (_, client):
        assert Outlet(client).write(b"hola", WSMsgType.TEXT)
        assert (await client.receive()).data == "hola"


async def test_a_peer_that_reads_nothing_and_a_large_message_are_left_to_who_can_wait() -> None:
    async with pair() as (socket, client):
        outlet = Outlet(socket)
        assert not outlet.write(bytes(ROOM_BYTES + 1), WSMsgType.BINARY)
        written = 0
        while outlet.write(bytes(ROOM_BYTES), WSMsgType.BINARY):
            written += 1
            assert written < 10_000
        for _ in range(written):
            assert len((await client.receive()).data) == ROOM_BYTES


async def test_nothing_is_written_after_the_goodbye() -> None:
    async with pair() as (socket, client):
        outlet = Outlet(socket)
        async with asyncio.TaskGroup() as group:
            group.create_task(socket.close())
            assert (await client.receive()).type is WSMsgType.CLOSE
        assert not outlet.write(b"tarde", WSMsgType.TEXT)
