"""A client of `/ws` that keeps everything it was told, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.doubles.http import cut


Json = dict[str, Any]

PATIENCE_S = 60.0
"""For one message. It ends tests that hang; processes that start on a busy machine take 20 s."""


class Caller:
    """Speaks the session protocol; ``audio`` is all it was played."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[Json] = []
        self.audio = bytearray()
        self.close_code: int | None = None
        self.received = 0
        """Messages of this session, text and binary, as ``session_resume`` counts them."""
        self._read_to = 0

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def speak(self, pcm: bytes, chunk_bytes: int = 960) -> None:
        """Faster than real time: the worker decides on the audio clock."""
        for at in range(0, len(pcm), chunk_bytes):
            await self.socket.send_bytes(pcm[at : at + chunk_bytes])

    async def until(self, kind: str, **having: Any) -> Json:
        """The next event of this kind after the last one waited for."""
        while True:
            while self._read_to < len(self.events):
                event = self.events[self._read_to]
                self._read_to += 1
                if event["type"] == kind and all(event[k] == v for k, v in having.items()):
                    return event
            await self._receive(kind)

    def vanish(self) -> None:
        """Drop the connection without a goodbye, as a lost network does."""
        cut(self.socket)

    async def closed(self) -> int | None:
        """Read to the end of the connection; its close code."""
        while self.close_code is None:
            await self._receive("the close")
        return self.close_code

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def _receive(self, awaited: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            self.audio += message.data
            self.received += 1
        elif message.type is aiohttp.WSMsgType.TEXT:
            event = message.json()
            self.events.append(event)
            if event["type"] == "session_started":
                self.received = 1
            elif self.received and event["type"] != "session_resumed":
                self.received += 1
        else:
            self.close_code = self.socket.close_code
            if awaited != "the close":
                raise ConnectionError(f"closed with {self.close_code} while waiting for {awaited}")


@asynccontextmanager
async def calling(
    url: str, *, key: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[Caller]:
    """Connect to the gateway at ``url`` (http://…); no session is started."""
    shown = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/ws", headers=shown) as socket,
    ):
        yield Caller(socket)
