"""A gateway whose only mode is EXTERNAL, and a client of its `/ws`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from config.schema import Config
from penny.gateway.app import Gateway


Json = dict[str, Any]

WAIT_S = 60.0


def external_only(config: Config) -> Config:
    own = config.penny.modes.SELF_HOSTED.model_copy(update={"enabled": False})
    modes = config.penny.modes.model_copy(update={"SELF_HOSTED": own})
    penny = config.penny.model_copy(update={"modes": modes, "default_mode": "EXTERNAL"})
    return config.model_copy(update={"penny": penny})


class Client:
    """Reads everything it is sent into ``seen``, and acknowledges no playback by itself."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self.http = http
        self.base_url = base_url
        self.seen: list[Json] = []
        self.audio_bytes = 0
        self._news = asyncio.Event()

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.seen.append(message.json())
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.audio_bytes += len(message.data)
            self._news.set()
        self._news.set()

    def all(self, kind: str) -> list[Json]:
        return [event for event in self.seen if event["type"] == kind]

    async def until(self, kind: str, ready: Callable[[Json], bool] = lambda event: True) -> Json:
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    found = next((e for e in self.all(kind) if ready(e)), None)
                    if found is not None:
                        return found
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            kinds = [event["type"] for event in self.seen[-12:]]
            raise AssertionError(f"{kind} did not come; last came {kinds}") from None

    async def text(self, path: str) -> str:
        async with self.http.get(f"{self.base_url}{path}") as response:
            return await response.text()


@asynccontextmanager
async def connected(
    gateway: Gateway, text: str | None = None, **start: Any
) -> AsyncIterator[Client]:
    """A client of ``/ws`` with a started EXTERNAL session; the gateway stops behind it.

    ``text``: the first message as it is sent, in place of one made from ``start``.
    """
    await gateway.start(host="127.0.0.1", port=0)
    try:
        base_url = f"http://127.0.0.1:{gateway.port}"
        async with aiohttp.ClientSession() as http:
            client = Client(http, base_url)
            async with http.ws_connect(f"{base_url}/ws") as socket:
                listening = asyncio.create_task(client.listen(socket))
                try:
                    start = {"type": "session_start", "mode": "EXTERNAL", **start}
                    await socket.send_str(text or json.dumps(start))
                    await client.until("session_started")
                    yield client
                finally:
                    await socket.close()
                    await listening
    finally:
        await gateway.stop(0.0)
