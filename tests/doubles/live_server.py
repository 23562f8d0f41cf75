"""OpenAI Live at the vendor's edge: a real WebSocket server, scripted.

It takes what the SDK's types take, in the order that the documents ask for (``session.start``
first, nothing before ``session.started``), and refuses the rest, which fails the test.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from aiohttp import web

from tests.doubles.vendor_server import VendorConnection, VendorServer
from tests.doubles.vendor_types import LIVE, refuse


Json = dict[str, Any]

FRAME_MS = 40
MAX_NOTE_CHARS = 1_750
"""500 tokens."""
LOUD = b64encode(b"\x00\x20\x00\xe0" * (FRAME_MS * 12)).decode()
SILENT = b64encode(bytes(FRAME_MS * 48)).decode()


class LiveConnection(VendorConnection):
    """One session as the server sees it."""

    def __init__(self, server: LiveDouble, socket: web.WebSocketResponse) -> None:
        super().__init__(server, socket)
        self._server = server
        self.appended: list[tuple[str, str]] = []
        """(channel, text), in order."""
        self.ms = 0

    def is_begun(self) -> bool:
        return bool(self.session)

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

    def on(self, channel: str) -> list[str]:
        """Texts appended on a channel."""
        return [text for name, text in self.appended if name == channel]

    # -- the protocol -------------------------------------------------------------------------

    async def _transcript(self, way: str, delta: str) -> None:
        kind, start_ms = f"session.{way}_transcript.delta", self.ms
        self.ms += 300
        await self.send(kind, delta=delta, start_ms=start_ms, end_ms=self.ms)

    async def take(self, event: Json) -> None:
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


class LiveDouble(VendorServer[LiveConnection]):
    """The server: ``async with LiveDouble() as vendor``."""

    path = "/v1/live/sessions"

    def accept(self, request: web.Request, socket: web.WebSocketResponse) -> LiveConnection:
        return LiveConnection(self, socket)
