"""Against real sockets: messages are taken in the step in which they come, and none out of turn."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.http_websocket import WSMessage
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from penny.aio.inlet import Message, find_inlet
from penny.aio.websocket import MAX_MESSAGE_BYTES, ClientSocket, ServerSocket


HELLO = b"\x81\x04hola"
"""An unmasked text frame, as a server sends it."""
MASKED_HELLO = b"\x81\x84\0\0\0\0hola"
"""A text frame of a client's, under the mask that changes nothing."""


class Taker:
    """Takes what begins with ``take``, and reads the rest."""

    def __init__(self, socket: ServerSocket | aiohttp.ClientWebSocketResponse) -> None:
        inlet = find_inlet(socket)
        assert inlet is not None
        inlet.take = self._take
        self.inlet = inlet
        self._socket = socket
        self.taken: list[str] = []
        self.read: list[str] = []

    def _take(self, message: Message) -> bool:
        if message.type is not WSMsgType.TEXT or not message.data.startswith("take"):
            return False
        self.taken.append(message.data)
        return True

    async def run(self) -> None:
        async for message in self._socket:
            self.read.append(message.data)
            if message.data == "slow":
                await asyncio.sleep(0.05)


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[ServerSocket, aiohttp.ClientWebSocketResponse]]:
    opened: asyncio.Future[ServerSocket] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def accept(request: web.Request) -> web.StreamResponse:
        socket = ServerSocket(compress=False)
        await socket.prepare(request)
        opened.set_result(socket)
        await done.wait()
        return socket

    app = web.Application()
    app.router.add_get("/", accept)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(ws_response_class=ClientSocket) as http,
        http.ws_connect(server.make_url("/"), compress=0, max_msg_size=MAX_MESSAGE_BYTES) as client,
    ):
        try:
            yield await opened, client
        finally:
            done.set()


async def until(reached: asyncio.Event) -> None:
    async with asyncio.timeout(5.0):
        await reached.wait()


@pytest.mark.parametrize("side", ["server", "client"])
async def test_what_is_taken_never_reaches_the_reader_and_the_rest_does(side: str) -> None:
    async with pair() as (server, client):
        here, there = (server, client) if side == "server" else (client, server)
        taker = Taker(here)
        reading = asyncio.create_task(taker.run())
        await asyncio.sleep(0)
        for text in ("take 1", "read 2", "take 3"):
            await there.send_str(text)
            await asyncio.sleep(0.02)
        await asyncio.gather(there.close(), reading)
        assert taker.taken == ["take 1", "take 3"]
        assert taker.read == ["read 2"]


async def test_a_message_behind_one_that_is_being_read_waits_its_turn() -> None:
    async with pair() as (server, client):
        taker = Taker(server)
        reading = asyncio.create_task(taker.run())
        await asyncio.sleep(0)
        for text in ("slow", "take 2"):
            await client.send_str(text)
        await asyncio.gather(client.close(), reading)
        assert taker.read == ["slow", "take 2"]
        assert not taker.taken


async def test_of_two_messages_in_one_step_the_second_stays_behind_the_first() -> None:
    async with pair() as (server, client):
        taker = Taker(server)
        reading = asyncio.create_task(taker.run())
        await asyncio.sleep(0)
        for text in ("read 1", "take 2"):
            taker.inlet.feed_data(WSMessage(WSMsgType.TEXT, text, ""), len(text))
        await asyncio.gather(client.close(), reading)
        assert taker.read == ["read 1", "take 2"]


async def test_nobody_takes_a_message_while_nobody_reads() -> None:
    async with pair() as (server, client):
        taker = Taker(server)
        await client.send_str("take 1")
        await asyncio.sleep(0.02)
        reading = asyncio.create_task(taker.run())
        await asyncio.gather(client.close(), reading)
        assert taker.read == ["take 1"]


async def test_a_fault_in_the_taker_is_logged_once_and_ends_the_connection() -> None:
    def stumble(_message: Message) -> bool:
        raise ValueError("a fault of ours")

    async with pair() as (server, client):
        taker = Taker(server)
        taker.inlet.take = stumble
        reading = asyncio.create_task(taker.run())
        await asyncio.sleep(0)
        with capture_logs() as logs:
            await client.send_str("take 1")
            async with asyncio.timeout(5.0):
                ended = await client.receive()
                await reading
        assert ended.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        assert isinstance(server.exception(), ValueError)
        assert [entry["event"] for entry in logs] == ["message_not_taken"]


async def test_pings_and_goodbyes_go_their_ordinary_way() -> None:
    async with pair() as (server, client):
        taker = Taker(client)
        reading = asyncio.create_task(taker.run())
        ponged = asyncio.create_task(_pong_of(server))
        await server.ping(b"?")
        assert await ponged == b"?"
        await server.close(code=4001)
        await reading
        assert client.close_code == 4001
        assert not taker.read


async def _pong_of(server: ServerSocket) -> bytes:
    """What a client answers to a ping, which aiohttp tells nobody."""
    inlet = find_inlet(server)
    assert inlet is not None
    ponged: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def see(message: Message) -> bool:
        if message.type is WSMsgType.PONG:
            ponged.set_result(bytes(message.data))
        return False

    inlet.take = see
    reading = asyncio.create_task(server.receive())
    async with asyncio.timeout(5.0):
        pong = await ponged
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return pong


async def test_a_message_that_is_too_large_closes_the_connection() -> None:
    async with pair() as (server, client):
        sending = asyncio.create_task(server.send_bytes(bytes(MAX_MESSAGE_BYTES + 1)))
        message = await client.receive()
        assert message.type is WSMsgType.ERROR
        assert client.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_what_a_server_says_together_with_its_consent_is_not_lost() -> None:
    """Its first message and half of the second, in the packet that opens the connection."""
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.split(": ")[1]
            for line in request.split("\r\n")
            if line.lower().startswith("sec-websocket-key")
        )
        magic = f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
        accept = base64.b64encode(hashlib.sha1(magic).digest()).decode()
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        writer.write(head.encode() + HELLO + HELLO[:4])
        await asyncio.sleep(0.05)
        writer.write(HELLO[4:])
        await until(closed)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        aiohttp.ClientSession(ws_response_class=ClientSocket) as http,
        http.ws_connect(
            f"http://127.0.0.1:{port}/", timeout=aiohttp.ClientWSTimeout(ws_close=0.1)
        ) as client,
    ):
        async with asyncio.timeout(5.0):
            assert [await client.receive_str() for _ in range(2)] == ["hola", "hola"]
        closed.set()


async def test_what_a_client_says_together_with_its_request_is_not_lost() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def accept(request: web.Request) -> web.StreamResponse:
        socket = ServerSocket(compress=False)
        await socket.prepare(request)
        async for message in socket:
            heard.put_nowait(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", accept)
    async with TestServer(app) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = (
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        writer.write(head.encode() + MASKED_HELLO + MASKED_HELLO[:7])
        await asyncio.sleep(0.05)
        writer.write(MASKED_HELLO[7:])
        async with asyncio.timeout(5.0):
            assert [await heard.get() for _ in range(2)] == ["hola", "hola"]
        writer.transport.abort()
