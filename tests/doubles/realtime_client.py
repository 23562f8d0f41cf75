"""A Realtime client that keeps everything it was told, in order, and believes nothing unchecked.

Every server event is validated strictly as it arrives, and no ``event_id`` may come twice.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.realtime_schema import assert_server_event_valid


Json = dict[str, Any]
CHUNK_BYTES = 48 * 20


class RealtimeClient:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, on_call: bool = False) -> None:
        self.socket = socket
        self._on_call = on_call
        self.events: list[Json] = []
        self.close_code: int | None = None
        self._read_to = 0
        self._event_ids: set[str] = set()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def configure(self, **session: Any) -> Json:
        """Send a session.update; the session it led to."""
        await self.send("session.update", session={"type": "realtime", **session})
        return dict((await self.until("session.updated"))["session"])

    async def say(self, text: str, **fields: Any) -> str:
        """Write a user's item; its id."""
        content = [{"type": "input_text", "text": text}]
        return await self.create({"type": "message", "role": "user", "content": content}, **fields)

    async def create(self, item: Json, **fields: Any) -> str:
        await self.send("conversation.item.create", item=item, **fields)
        return str((await self.until("conversation.item.added"))["item"]["id"])

    async def stream(self, pcm: bytes) -> None:
        """Faster than real time: decisions are made on the audio clock."""
        for at in range(0, len(pcm), CHUNK_BYTES):
            audio = base64.b64encode(pcm[at : at + CHUNK_BYTES]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def until(self, kind: str, **having: Any) -> Json:
        """The next event of this kind after the last one waited for."""
        while True:
            while self._read_to < len(self.events):
                event = self.events[self._read_to]
                self._read_to += 1
                if event["type"] == kind and all(event.get(k) == v for k, v in having.items()):
                    return event
            await self._receive(kind)

    async def the_error(self) -> Json:
        """The next error, less its wrapping."""
        return dict((await self.until("error"))["error"])

    async def closed(self) -> int | None:
        """Read to the end of the connection; its close code."""
        while self.close_code is None:
            await self._receive("the close")
        return self.close_code

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def without_deltas(self, since: int = 0) -> list[str]:
        """Kinds from the event numbered ``since`` on, less what may come at any time."""
        transcript = "conversation.item.input_audio_transcription.completed"
        return [k for k in self.kinds()[since:] if "delta" not in k and k != transcript]

    def turn(self, response_id: str) -> list[str]:
        """Kinds of the events of one response, deltas left out."""
        mine = [
            event
            for event in self.events
            if response_id in (event.get("response_id"), event.get("response", {}).get("id"))
        ]
        return [event["type"] for event in mine if not event["type"].endswith(".delta")]

    async def _receive(self, awaited: str) -> None:
        async with asyncio.timeout(60):
            message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            self.close_code = self.socket.close_code
            if awaited != "the close":
                raise ConnectionError(f"closed with {self.close_code} while waiting for {awaited}")
            return
        event = message.json()
        assert_server_event_valid(event, on_call=self._on_call)
        assert event["event_id"] not in self._event_ids
        self._event_ids.add(event["event_id"])
        self.events.append(event)


@asynccontextmanager
async def connected_to(
    url: str, query: str = "model=penny", **options: Any
) -> AsyncIterator[RealtimeClient]:
    """A client of the gateway at ``url`` (http://…), or of a worker's own address (ws://…)."""
    address = url if url.startswith("ws") else f"{url.replace('http', 'ws', 1)}/v1/realtime"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{address}?{query}", max_msg_size=0, **options) as socket,
    ):
        yield RealtimeClient(socket, on_call="call_id=" in query)
