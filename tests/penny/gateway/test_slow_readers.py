"""Clients that ask and never read: each is ended by name, and what waits for it is bounded."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from penny.aio.websocket import SocketConnection
from penny.edges.realtime.edge import OUTBOUND_BYTES, RealtimeEdge
from penny.edges.socket import sender
from penny.edges.socket.edge import SocketEdge
from penny.gateway import socket
from tests.doubles.house import running_penny
from tests.doubles.realtime_client import connected_to


pytestmark = pytest.mark.engines

Json = dict[str, Any]
BUFFER_BYTES = 65_536 + 2 * 1024 * 1024
"""What the connection takes before it says that it is full, and the message that filled it."""


class DeafClient:
    """Sends JSON over a WebSocket of its own making, and reads nothing until it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, message: Json) -> None:
        data = json.dumps(message).encode()
        head = bytes([0x81])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        else:
            head += bytes([0x80 | 127]) + len(data).to_bytes(8, "big")
        self._writer.write(head + bytes(4) + data)
        await self._writer.drain()

    async def goodbye(self) -> tuple[int, str]:
        """Read all that was sent; the code and the reason of the close at its end."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]
        while True:
            head = await self._reader.readexactly(2)
            length = head[1]
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(await self._reader.readexactly(size), "big")
            data = await self._reader.readexactly(length)
            if head[0] & 0x0F == 8:
                return int.from_bytes(data[:2], "big"), data[2:].decode()


@asynccontextmanager
async def deaf(url: str, path: str) -> AsyncIterator[DeafClient]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=65_536)
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
    )
    writer.write("\r\n".join((*lines, "", "")).encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    try:
        yield DeafClient(reader, writer)
    finally:
        writer.transport.abort()


def the_edge(kind: type) -> Any:
    [edge] = [each for each in gc.get_objects() if type(each) is kind and not each._closed]
    return edge


async def counted(url: str, reason: str) -> None:
    """Wait until a session has ended for this reason."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{url}/metrics") as metrics:
                if f'reason="{reason}"' in await metrics.text():
                    return
            await asyncio.sleep(0.05)


async def test_updates_of_a_long_session_that_nobody_reads_are_bounded_in_bytes() -> None:
    most = 0
    with capture_logs() as logs:
        async with running_penny() as url, deaf(url, "/v1/realtime") as client:
            session: Json = {"type": "realtime", "instructions": "x" * 190_000}
            tool = {"type": "function", "parameters": {"type": "object"}}
            session["tools"] = [
                {**tool, "name": f"t{n}", "description": "y" * 5_000} for n in range(100)
            ]
            await client.send({"type": "session.update", "session": session})
            edge = the_edge(RealtimeEdge)
            small = {"type": "session.update", "session": {"type": "realtime"}}
            async with asyncio.timeout(100):
                while edge.end_reason == "client_gone":
                    await client.send(small)
                    most = max(most, edge.waiting_bytes)
                    await asyncio.sleep(0.02)
            assert most > OUTBOUND_BYTES / 2
            assert most <= OUTBOUND_BYTES
            assert await client.goodbye() == (1008, "client_does_not_read")
            await counted(url, "client_does_not_read")
    [told] = [each for each in logs if each["event"] == "client_does_not_read"]
    assert told["log_level"] == "warning"
    assert told["waiting_bytes"] > OUTBOUND_BYTES


def open_edges() -> list[SocketEdge]:
    """Edges of earlier tests may still wait for the collector; they are closed."""
    return [e for e in gc.get_objects() if type(e) is SocketEdge and not e._closed]


async def test_answers_of_ws_that_nobody_reads_are_bounded_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "CALLER_MESSAGES_PER_S", None)  # a flood at its fastest
    most, bound = 0, 512 * 1024  # an eighth of what is shipped, and of the flood that fills it
    monkeypatch.setattr(sender, "CONTROL_BYTES", bound)
    async with (
        running_penny(gateway={"messages_per_s": 10_000.0}) as url,
        deaf(url, "/ws") as client,
    ):
        await client.send({"type": "session_start"})
        async with asyncio.timeout(60):
            while not (edges := open_edges()):
                await asyncio.sleep(0.01)
        [edge] = edges
        async with asyncio.timeout(100):
            while edge.end_reason == "client_gone":
                await client.send({"type": "text_input", "text": "日本語日本語日 " * 500})
                most = max(most, edge._sender.waiting_bytes)
                await asyncio.sleep(0)
        assert most <= bound + BUFFER_BYTES
        assert await client.goodbye() == (4413, "client_does_not_read")
        await counted(url, "client_does_not_read")


async def test_a_message_over_the_limit_is_refused_by_name_and_an_absurd_one_by_a_close() -> None:
    async with (
        running_penny(gateway={"max_message_bytes": 100_000}) as url,
        connected_to(url) as client,
    ):
        await client.send("input_audio_buffer.append", audio="A" * 120_000)
        assert (await client.the_error())["code"] == "message_too_large"
        await client.configure()
        await client.send("input_audio_buffer.append", audio="A" * 300_000)
        assert await client.closed() == 1009


async def test_a_minute_of_audio_fits_one_append_by_default() -> None:
    async with running_penny() as url, connected_to(url) as client:
        await client.configure(audio={"input": {"turn_detection": None}})
        minute = base64.b64encode(bytes(60_000 * 48)).decode()
        await client.send("input_audio_buffer.append", audio=minute)
        await client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")
        assert "error" not in client.kinds()


async def test_a_burst_of_messages_is_limited() -> None:
    few = {"messages_per_s": 3.0}
    async with running_penny(gateway=few) as url, connected_to(url) as client:
        await client.until("session.created")
        for _ in range(50):
            await client.send("session.update", session={"type": "realtime"})
        assert (await client.the_error())["code"] == "rate_limited"
        for _ in range(8):  # each counts as four of thirty
            await client.until("session.updated")


class FullTransport(asyncio.Transport):
    """Keeps what is written for good, as that of a client that reads nothing does."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0

    def write(self, data: Any) -> None:
        self.waiting += len(data)

    def writelines(self, pieces: Any) -> None:
        self.waiting += sum(map(len, pieces))

    def get_write_buffer_size(self) -> int:
        return self.waiting


async def test_a_huge_item_is_retrieved_but_not_multiplied() -> None:
    connection = SocketConnection(max_message_bytes=1_000)
    transport = FullTransport()
    connection.connection_made(transport)
    edge = RealtimeEdge(
        connection, session_id="sess_1", model="penny", expires_at=0, penny_events=False
    )
    item = {"type": "conversation.item.retrieved", "item": {"audio": "A" * (7_800_000)}}
    edge.deliver(item)
    assert transport.waiting > 7_800_000
    connection.pause_writing()
    edge.deliver(item)
    assert edge.end_reason == "client_gone"
    edge.deliver(item)
    assert edge.end_reason == "client_does_not_read"
    assert edge.waiting_bytes == transport.waiting < OUTBOUND_BYTES
    edge.deliver(item)
    assert edge.waiting_bytes == transport.waiting < OUTBOUND_BYTES
