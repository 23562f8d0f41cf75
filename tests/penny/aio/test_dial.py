"""A dialled WebSocket against a server that speaks RFC 6455 by the letter, right and wrong."""

from __future__ import annotations

import asyncio
import struct
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha1

import pytest
from websockets.frames import Frame, Opcode

from penny.aio.dial import dial
from penny.aio.websocket import SocketConnection


pytestmark = pytest.mark.socket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LIMIT = 1_000


@dataclass
class Server:
    """One accepted connection of a server, before its answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: bytes

    def answer(self) -> None:
        accept = b64encode(sha1(self.key + GUID).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.writer.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    def send(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.writer.write(Frame(Opcode(opcode), payload, fin=fin).serialize(mask=False))

    async def read(self) -> tuple[int, bytes]:
        """Opcode and unmasked payload of the next frame, which must be masked."""
        first, second = await self.reader.readexactly(2)
        assert second & 0x80
        key = await self.reader.readexactly(4)
        data = await self.reader.readexactly(second & 0x7F)
        return first & 0x0F, bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, asyncio.Queue[Server]]]:
    met: asyncio.Queue[Server] = asyncio.Queue()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = (line.partition(b":") for line in head.split(b"\r\n"))
        [key] = [value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key"]
        met.put_nowait(Server(reader, writer, key))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", met
    finally:
        server.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[SocketConnection, Server]]:
    async with listening() as (url, met):
        dialling = asyncio.create_task(dial(url, {}, max_message_bytes=LIMIT))
        server = await met.get()
        server.answer()
        connection = await dialling
        yield connection, server
        connection.abort()
        await connection.wait_closed()
        server.writer.close()


async def test_fragments_are_one_message_and_a_ping_between_them_is_answered() -> None:
    async with connected() as (connection, server):
        server.send(1, b"se", fin=False)
        server.send(9, b"now")
        server.send(0, "ñal".encode()[:1], fin=False)
        server.send(0, "ñal".encode()[1:])
        server.send(2, b"\x00\xff")
        assert await connection.receive() == "señal"
        assert await connection.receive() == b"\x00\xff"
        assert await server.read() == (10, b"now")
        connection.send_text("sí".encode())
        connection.send_binary(b"\x01")
        assert [await server.read() for _ in range(2)] == [(1, "sí".encode()), (2, b"\x01")]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(1, b"\xff\xfe", True)], 1007),
        ([(2, bytes(LIMIT + 1), True)], 1009),
        ([(2, bytes(LIMIT), False), (0, b"x", True)], 1009),
        ([(0, b"of nothing", True)], 1002),
        ([(1, b"a", False), (1, b"b", True)], 1002),
    ],
)
async def test_what_breaks_the_protocol_is_told_its_code_and_closed(
    frames: list[tuple[int, bytes, bool]], code: int
) -> None:
    async with connected() as (connection, server):
        for opcode, payload, fin in frames:
            server.send(opcode, payload, fin=fin)
        opcode, payload = await server.read()
        assert (opcode, struct.unpack("!H", payload[:2])[0]) == (8, code)
        assert await connection.receive() is None


async def test_a_servers_goodbye_is_answered_with_its_code() -> None:
    async with connected() as (connection, server):
        server.send(8, struct.pack("!H", 4321) + b"bye")
        assert await server.read() == (8, struct.pack("!H", 4321) + b"bye")
        await connection.wait_closed()
        assert connection.close_code == 4321


async def test_a_server_that_does_not_answer_in_time_is_hung_up_on() -> None:
    async with listening() as (url, met):
        dialling = asyncio.create_task(dial(url, {}))
        server = await met.get()
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await server.reader.readexactly(1)
        server.writer.close()
