"""A Realtime client that asked to be held, on its first connection or a later one."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp


Json = dict[str, Any]


class Held:
    """A client that counts what it is sent. ``events`` leave out the words about resuming."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._socket: aiohttp.ClientWebSocketResponse
        self.received = 0
        self.events: list[Json] = []
        self.token = ""
        self.within_ms = 0
        self.sent = 0

    async def start(self) -> None:
        self._socket = await self._http.ws_connect(f"{self._url}/v1/realtime?penny_resume=1")
        told = await self.next()
        while told["type"] != "penny.session.resumable":
            told = await self.next()
        self.token, self.within_ms = told["resume_token"], told["within_ms"]

    async def resume(self, **options: Any) -> Json:
        url = f"{self._url}/v1/realtime?received={self.received}"
        shown = options or {"headers": {"Penny-Resume": self.token}}
        self._socket = await self._http.ws_connect(url, **shown)
        told = await self._socket.receive_json(timeout=10)
        return dict(told)

    def vanish(self) -> None:
        self._socket._writer.transport.abort()

    async def leave(self) -> None:
        await self._socket.close()

    async def send(self, event: Json) -> None:
        await self._socket.send_json(event)
        self.sent += 1

    async def ask(self, text: str = "hola") -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send({"type": "conversation.item.create", "item": item})
        await self.send({"type": "response.create"})

    async def next(self) -> Json:
        event = dict(await self._socket.receive_json(timeout=10))
        self.received += 1
        self.events.append(event)
        return event

    async def until(self, kind: str) -> Json:
        event = await self.next()
        while event["type"] != kind:
            event = await self.next()
        return event

    async def closed(self) -> int | None:
        while not self._socket.closed:
            await self._socket.receive(timeout=10)
        return self._socket.close_code

    def audio(self) -> bytes:
        deltas = [e for e in self.events if e["type"] == "response.output_audio.delta"]
        return b"".join(base64.b64decode(event["delta"]) for event in deltas)
