"""One caller against all others: the gateway's memory and the others' first audio, measured.

Four callers ask by text, one question after the other, first alone and then beside the attack.
Bar: the gateway's memory grows by at most ``GROWTH_MB``, the 99th percentile of the others' first
audio by at most ``LATER``. The second is a figure of a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import aiohttp
import psutil

from tests.attacks.attack import attack
from tests.attacks.availability import own_gateway, talks
from tests.attacks.house import House
from tests.doubles.caller import calling
from tests.doubles.processes import ROOT


GROWTH_MB = 32.0
LATER = 1.2
SLACK_MS = 5.0
"""Below this a difference is the scheduler's, not the attack's."""
WARM_S, ALONE_S, BESIDE_S, SHORT_S = 30.0, 20.0, 30.0, 6.0
MASK = bytes(4)
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
        self._writer.write(head + MASK + data)
        await self._writer.drain()


class Others:
    """Four innocent callers; ``first_ms`` is how soon each answer was first heard."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.first_ms: list[float] = []

    async def ask_for(self, seconds: float) -> float:
        """The 99th percentile of the first audio while they ask."""
        self.first_ms = []
        ends_s = time.monotonic() + seconds
        await asyncio.gather(*(self._ask(ends_s) for _ in range(4)))
        ordered = sorted(self.first_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    async def _ask(self, ends_s: float) -> None:
        async with calling(self._url) as caller:
            await caller.send("session_start")
            await caller.until("session_started")
            while time.monotonic() < ends_s:
                heard = len(caller.audio)
                began_s = time.monotonic()
                await caller.send("text_input", text="hola")
                while len(caller.audio) == heard:
                    await caller._receive("audio")
                self.first_ms.append((time.monotonic() - began_s) * 1000)
                await caller.send("interrupt")
                await caller.until("response_done")  # what is still on its way is of this answer
                await asyncio.sleep(0.1)


Hurt = Callable[[str, int], Awaitable[None]]


@asynccontextmanager
async def attacking(hurt: Hurt, port: int) -> AsyncIterator[None]:
    """In a process of its own: what it costs to attack must not delay who is measured."""
    command = (sys.executable, "-m", "tests.attacks.load", hurt.__name__, str(port))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()  # it begins
    try:
        yield
        assert process.returncode is None, "the attack ended by itself"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def watch_memory(process: psutil.Process, meanwhile: Awaitable[T]) -> tuple[T, float]:
    """What came of it, and the most memory of a process until then, in MB."""
    most, task = process.memory_info().rss, asyncio.ensure_future(meanwhile)
    while not task.done():
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.1)
    return await task, most / 1e6


async def measure_memory(house: House, name: str, hurt: Hurt) -> str:
    async with own_gateway(house, f"load-{name}") as (gateway, _):
        await talks(gateway.url)
        process = psutil.Process(gateway.process.pid)
        before_mb = process.memory_info().rss / 1e6
        async with attacking(hurt, gateway.port):
            _, most_mb = await watch_memory(process, asyncio.sleep(SHORT_S))
            await talks(gateway.url)
    assert most_mb - before_mb <= GROWTH_MB, f"+{most_mb - before_mb:.0f} MB"
    return f"+{most_mb - before_mb:.0f} MB"


async def measure(house: House, name: str, hurt: Hurt) -> str:
    async with own_gateway(house, f"load-{name}") as (gateway, _):
        process, others = psutil.Process(gateway.process.pid), Others(gateway.url)
        await others.ask_for(WARM_S)  # until callers alone make the process grow no more
        alone_ms, alone_mb = await watch_memory(process, others.ask_for(ALONE_S))
        async with attacking(hurt, gateway.port):
            beside_ms, beside_mb = await watch_memory(process, others.ask_for(BESIDE_S))
    told = f"+{beside_mb - alone_mb:.0f} MB, p99 {alone_ms:.0f} -> {beside_ms:.0f} ms"
    assert beside_mb - alone_mb <= GROWTH_MB, told
    assert beside_ms <= max(alone_ms * LATER, alone_ms + SLACK_MS), told
    return told


def loaded(name: str, title: str) -> Callable[[Hurt], Hurt]:
    """Two attacks of one: the memory alone for some seconds, and all of it, measured."""

    def enter(hurt: Hurt) -> Hurt:
        async def short(house: House) -> str:
            return await measure_memory(house, f"{name}-short", hurt)

        async def whole(house: House) -> str:
            return await measure(house, name, hurt)

        short.__name__, short.__doc__ = f"{name}_short", f"{title}, {SHORT_S:g} s"
        whole.__name__, whole.__doc__ = name, f"{title}, {BESIDE_S:g} s"
        if name in SHORT:
            attack("one caller", f"memory +{GROWTH_MB:g} MB at most")(short)
        HURTS[hurt.__name__] = hurt
        held = f"memory +{GROWTH_MB:g} MB at most, others' first audio p99 +20 % at most"
        attack("one caller", held, measured=True)(whole)
        return hurt

    return enter


HURTS: dict[str, Hurt] = {}
SHORT = ("deaf_updates", "burst_of_updates", "large_messages")


@loaded("deaf_updates", "a 0.7 MB session.update, then tiny ones at 50/s, and nothing is read")
async def deaf_updates(_url: str, port: int) -> None:
    update = {"type": "session.update", "session": {"type": "realtime"}}
    large = {"session": {"type": "realtime", "instructions": "x" * 700_000}}
    while True:
        async with Deaf(port, "/v1/realtime") as client:
            with suppress(ConnectionError):
                await client.send(json.dumps({**update, **large}).encode())
                while True:
                    await client.send(json.dumps(update).encode())
                    await asyncio.sleep(0.02)


@loaded("large_messages", "20 MB messages, one after the other, at /v1/realtime and /ws")
async def large_messages(_url: str, port: int) -> None:
    text = b'{"type": "session.update", "session": {"instructions": "' + b"x" * 20_000_000 + b'"}}'
    while True:
        for path in ("/v1/realtime", "/ws"):
            async with Deaf(port, path) as client:
                with suppress(ConnectionError):
                    await client.send(text)
        await asyncio.sleep(0.5)


@loaded("burst_of_updates", "bursts of 5,000 tiny session.update")
async def burst_of_updates(url: str, _port: int) -> None:
    update = json.dumps({"type": "session.update", "session": {"type": "realtime"}})
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.ws_connect(f"{url}/v1/realtime", max_msg_size=0) as socket:
                reading = asyncio.ensure_future(_read(socket))
                with suppress(ConnectionError):
                    for _number in range(5_000):
                        await socket.send_str(update)
                await asyncio.sleep(1.0)
                reading.cancel()


async def _read(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _message in socket:
        pass


@loaded("retrieves", "20 retrieves a second of an item of some MB of audio")
async def retrieves(url: str, _port: int) -> None:
    chunk = base64.b64encode(bytes(48_000 * 4)).decode()
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/realtime", max_msg_size=0) as socket,
    ):
        detection = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await socket.send_json({"type": "session.update", "session": detection})
        for _number in range(30):
            await socket.send_json({"type": "input_audio_buffer.append", "audio": chunk})
        await socket.send_json({"type": "input_audio_buffer.commit"})
        item_id = ""
        while not item_id:
            event = await socket.receive_json()
            item_id = event.get("item_id", "") if event["type"].endswith(".committed") else ""
        reading = asyncio.ensure_future(_read(socket))
        try:
            while True:
                await socket.send_json({"type": "conversation.item.retrieve", "item_id": item_id})
                await asyncio.sleep(0.05)
        finally:
            reading.cancel()


@loaded("deaf_ws", "/ws: questions at 50/s, and nothing is read")
async def deaf_ws(_url: str, port: int) -> None:
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
                while True:
                    await client.send(b'{"type": "text_input", "text": "hola"}')
                    await asyncio.sleep(0.02)


@loaded("pings", "pings, of WebSocket and of the protocol, as fast as they are taken")
async def pings(_url: str, port: int) -> None:
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
                while True:
                    for _number in range(50):
                        await client.send(os.urandom(125), opcode=9)
                        await client.send(b'{"type": "ping", "nonce": "x"}')
                    await asyncio.sleep(0.01)


@loaded("audio_flood", "audio a hundred times faster than it is spoken")
async def audio_flood(_url: str, port: int) -> None:
    frame = os.urandom(960)
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
                while True:
                    for _number in range(100):
                        await client.send(frame, opcode=2)
                    await asyncio.sleep(0.02)


@loaded("many_starts", "sessions opened and dropped, 20 a second")
async def many_starts(_url: str, port: int) -> None:
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
        await asyncio.sleep(0.05)


async def _hurt(name: str, port: int) -> None:
    print("begins", flush=True)
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError, aiohttp.ClientError):
            await HURTS[name](f"http://127.0.0.1:{port}", port)


if __name__ == "__main__":
    asyncio.run(_hurt(sys.argv[1], int(sys.argv[2])))
