"""Against real sockets: a talker moves the heartbeat seldom, and one who falls silent is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from penny.aio.websocket import ClientSocket, ServerSocket


MESSAGES = 100


class Counted(ServerSocket):
    resets = 0

    def _reset_heartbeat(self) -> None:
        type(self).resets += 1
        super()._reset_heartbeat()


@asynccontextmanager
async def pair(
    heartbeat_s: float,
) -> AsyncIterator[tuple[Counted, aiohttp.ClientWebSocketResponse]]:
    """A server's socket with a heartbeat, read until it ends, and its client's, which has none."""
    opened: asyncio.Future[Counted] = asyncio.get_running_loop().create_future()

    async def accept(request: web.Request) -> web.StreamResponse:
        socket = Counted(heartbeat=heartbeat_s)
        await socket.prepare(request)
        opened.set_result(socket)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", accept)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(ws_response_class=ClientSocket) as http,
        http.ws_connect(server.make_url("/"), autoping=False) as client,
    ):
        yield await opened, client


async def test_a_stream_of_messages_moves_the_heartbeat_seldom() -> None:
    async with pair(30.0) as (_, client):
        before = Counted.resets
        for number in range(MESSAGES):
            await client.send_str(str(number))
            assert (await client.receive()).data == str(number)
        assert Counted.resets - before <= MESSAGES / 10


@pytest.mark.parametrize("talks_first", [False, True])
async def test_a_peer_that_answers_no_ping_is_lost(*, talks_first: bool) -> None:
    async with pair(0.2) as (socket, client):
        if talks_first:
            await client.send_str("hello")
            assert (await client.receive()).data == "hello"
        async with asyncio.timeout(5.0):
            assert (await client.receive()).type is aiohttp.WSMsgType.PING
            ended = await client.receive()
        assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)
        assert socket.closed


async def test_a_peer_that_answers_pings_is_kept() -> None:
    async with pair(0.1) as (socket, client), asyncio.timeout(5.0):
        for _ in range(3):
            ping = await client.receive()
            assert ping.type is aiohttp.WSMsgType.PING
            await client.pong(ping.data)
        assert not socket.closed
