"""Who is beside an attack: a client that never reads, innocent callers, the gateway's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from itertools import count
from typing import TypeVar

import aiohttp
import psutil

from tests.doubles.caller import calling


MASK = bytes(4)
PAUSE_S = 0.25
"""Between two questions: fewer than one client may ask."""
T = TypeVar("T")


class Deaf:
    """A client that writes WebSocket frames and never reads."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path

    async def __aenter__(self) -> Deaf:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await self._reader.readuntil(b"\r\n\r\n")
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def send(self, data: bytes, opcode: int = 1) -> None:
        size = len(data)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65_536:
            head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
        await self.write(head + MASK + data)

    async def write(self, data: bytes) -> None:
        """Send bytes that are frames already."""
        self._writer.write(data)
        await self._writer.drain()


class Others:
    """Innocent callers; ``first_ms`` is how soon each answer was first heard."""

    def __init__(self, url: str, callers: int = 4) -> None:
        self._url = url
        self._callers = callers
        self.first_ms: list[float] = []

    async def ask_for(self, seconds: float) -> list[float]:
        """The first audio of each answer, in ms, in the time."""
        self.first_ms = []
        ends_s = time.monotonic() + seconds
        await asyncio.gather(*(self._ask(ends_s) for _ in range(self._callers)))
        return self.first_ms

    async def _ask(self, ends_s: float) -> None:
        """One question after the other, each answer cut at its first sound."""
        async with calling(self._url) as caller:
            await caller.send("session_start")
            await caller.until("session_started")
            for number in count():
                if time.monotonic() >= ends_s:
                    return
                began_s = time.monotonic()
                await caller.send("text_input", text="hola")
                await caller.until("audio_started")
                self.first_ms.append((time.monotonic() - began_s) * 1000)
                await caller.send("interrupt")
                await caller.send("ping", nonce=str(number))
                await caller.until("pong", nonce=str(number))  # nothing of that answer comes now
                await asyncio.sleep(PAUSE_S)


class RealtimeOthers(Others):
    """As ``Others``, at ``/v1/realtime``, speaking besides: silence, fifty pieces a second."""

    async def _ask(self, ends_s: float) -> None:
        item = {"type": "message", "role": "user"}
        item |= {"content": [{"type": "input_text", "text": "hola"}]}  # type: ignore[dict-item]
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{self._url}/v1/realtime", max_msg_size=0) as socket,
        ):
            speaking = asyncio.ensure_future(_stream_silence(socket))
            while time.monotonic() < ends_s:
                began_s = time.monotonic()
                await socket.send_json({"type": "conversation.item.create", "item": item})
                await socket.send_json({"type": "response.create"})
                await _until(socket, "response.output_audio.delta")
                self.first_ms.append((time.monotonic() - began_s) * 1000)
                await socket.send_json({"type": "response.cancel"})
                await _until(socket, "response.done")
                await asyncio.sleep(PAUSE_S)
            speaking.cancel()


async def _until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> None:
    async with asyncio.timeout(60):
        while (await socket.receive_json())["type"] != kind:
            pass


async def _stream_silence(socket: aiohttp.ClientWebSocketResponse) -> None:
    audio = "A" * 1280
    with suppress(ConnectionError):
        while True:
            await socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
            await asyncio.sleep(0.02)


async def watch_memory(process: psutil.Process, meanwhile: Awaitable[T]) -> tuple[T, float]:
    """What came of it, and the most memory of a process until then, in MB."""
    most, task = process.memory_info().rss, asyncio.ensure_future(meanwhile)
    while not task.done():
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.1)
    return await task, most / 1e6
