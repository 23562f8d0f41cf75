"""OpenAI Live at the vendor's edge: a real WebSocket server, scripted.

It takes what the SDK's types take, in the order that the documents ask for (``session.start``
first, nothing before ``session.started``), and refuses the rest, which fails the test.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from itertools import count
from types import TracebackType
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.doubles.vendor_types import LIVE, refuse


Json = dict[str, Any]

WAIT_S = 5.0
FRAME_MS = 40
MAX_NOTE_CHARS = 1_750
"""500 tokens."""
LOUD = b64encode(b"\x00\x20\x00\xe0" * (FRAME_MS * 12)).decode()
SILENT = b64encode(bytes(FRAME_MS * 48)).decode()


class LiveConnection:
    """One session as the server sees it."""

    def __init__(self, server: LiveDouble, socket: web.WebSocketResponse) -> None:
        self._server = server
        self._socket = socket
        self._ids = count(1)
        self._changed = asyncio.Event()
        self.session: Json = {}
        self.received: list[Json] = []
        self.appended: list[tuple[str, str]] = []
        """(channel, text), in order."""
        self.ms = 0

    # -- the script ---------------------------------------------------------------------------

    async def hear(self, words: str) -> None:
        """The caller says something."""
        for word in words.split():
            await self._transcript("input", f"{word} ")

    async def say(self, text: str) -> None:
        """The speaker says something, then it is silent."""
        for word in text.split():
            await self._transcript("output", f"{word} ")
            await self.send("session.output_audio.delta", delta=LOUD)
        await self.be_silent(1_000)

    async def be_silent(self, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            await self.send("session.output_audio.delta", delta=SILENT)

    async def delegate(self, delegation_id: str) -> None:
        delegation = {"id": delegation_id, "target": "client", "type": "delegation"}
        await self.send("session.delegation.created", delegation=delegation, offset_ms=self.ms)

    async def bill(self, seconds: float) -> None:
        await self.send("session.usage.updated", usage={"seconds": seconds})

    async def drop(self, code: int = WSCloseCode.INTERNAL_ERROR) -> None:
        await self._socket.close(code=code)

    def on(self, channel: str) -> list[str]:
        """Texts appended on a channel."""
        return [text for name, text in self.appended if name == channel]

    async def until(self, what: str, ready: Any) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while not ready():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}: {self.appended}") from None

    # -- the protocol -------------------------------------------------------------------------

    async def _transcript(self, way: str, delta: str) -> None:
        kind, start_ms = f"session.{way}_transcript.delta", self.ms
        self.ms += 300
        await self.send(kind, delta=delta, start_ms=start_ms, end_ms=self.ms)

    async def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"event_{next(self._ids)}", **fields}
        if not self._socket.closed:
            await self._socket.send_str(json.dumps(event))

    async def serve(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            event = json.loads(message.data)
            self.received.append(event)
            await self._take(event)
            self._changed.set()

    async def _take(self, event: Json) -> None:
        kind, event_id = event["type"], event.get("event_id")
        refusal = refuse(event, LIVE) or self._refuse(event)
        if refusal is not None:
            code, message, param = refusal
            self._server.violations.append(f"{kind}: {param} {message}")
            fault = {"type": "invalid_request_error", "code": code, "message": message}
            await self.send("error", error={**fault, "param": param, "client_event_id": event_id})
        elif kind == "session.start":
            self.session = event["session"]
            await self.send("session.started", session={**self.session, "id": "live_1"})
        elif kind.endswith(".append") and kind != "session.input_audio.append":
            self.appended.append((kind.split(".")[1], event["content"]))
            await self.send(f"{kind}ed", start_ms=self.ms, end_ms=self.ms, client_event_id=event_id)
        elif kind == "session.close":
            usage = {"seconds": self.ms / 1000}
            await self.send(
                "session.closed", reason="close_requested", session=self.session, usage=usage
            )
            await self._socket.close()

    def _refuse(self, event: Json) -> tuple[str, str, str] | None:
        if not self.session and event["type"] != "session.start":
            return "invalid_state", "session.start comes first", "type"
        if self.session and event["type"] == "session.start":
            return "invalid_state", "the session has started", "type"
        if len(event.get("content") or "") > MAX_NOTE_CHARS:
            return "string_above_max_length", "more than 500 tokens", "content"
        if event["type"] == "session.start" and len(event["session"].get("input") or ()) > 128:
            return "array_above_max_length", "more than 128 messages", "session.input"
        return None


class LiveDouble:
    """The server: ``async with LiveDouble() as vendor``."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.connections: list[LiveConnection] = []
        self._arrived = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._taken = 0
        self.base_url = ""

    async def connection(self) -> LiveConnection:
        """The next connection, started."""
        async with asyncio.timeout(WAIT_S):
            while len(self.connections) <= self._taken:
                self._arrived.clear()
                await self._arrived.wait()
        self._taken += 1
        found = self.connections[self._taken - 1]
        await found.until("session.start", lambda: found.session)
        return found

    async def __aenter__(self) -> LiveDouble:
        app = web.Application()
        app.router.add_get("/v1/live/sessions", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in self.connections:
            await each.drop(WSCloseCode.OK)
        assert self._runner is not None
        await self._runner.cleanup()
        if kind is None:
            assert not self.violations, self.violations

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=20 * 1024 * 1024)
        await socket.prepare(request)
        connection = LiveConnection(self, socket)
        self.connections.append(connection)
        self._arrived.set()
        await connection.serve()
        return socket
