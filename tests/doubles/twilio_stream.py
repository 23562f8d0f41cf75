"""Twilio's side of one call, over real sockets: signed webhooks, and a stream that plays and marks.

Written from Twilio's documents: it buffers what it is sent, plays it in real time, returns a mark
when what is before it was played, and at ``clear`` empties the buffer and returns the marks of
what it dropped at once. It refuses what Twilio refuses: binary messages, no mu-law, other SIDs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import aiohttp
from twilio.request_validator import RequestValidator


Json = dict[str, Any]

ACCOUNT = "AC" + "a" * 32
AUTH_TOKEN = "b" * 32
PUBLIC = "https://penny.example"
FRAME = 160
SILENCE = b"\xff" * FRAME


def new_sid(kind: str = "CA") -> str:
    return kind + secrets.token_hex(16)


def sign(url: str, form: dict[str, str]) -> str:
    signature: str = RequestValidator(AUTH_TOKEN).compute_signature(url, form)
    return signature


async def post_webhook(
    http: aiohttp.ClientSession, url: str, path: str, form: dict[str, str], **headers: str
) -> aiohttp.ClientResponse:
    """A webhook as Twilio sends it; ``headers`` over its own."""
    signed = {"X-Twilio-Signature": sign(PUBLIC + path, form), **headers}
    return await http.post(url + path, data=form, headers=signed)


def voice_form(call_sid: str, caller: str = "+34600000001", callee: str = "+34910000000") -> Json:
    return {
        "AccountSid": ACCOUNT,
        "CallSid": call_sid,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": caller,
        "To": callee,
        "ApiVersion": "2010-04-01",
    }


def read_connect(document: str) -> tuple[str, dict[str, str], Element]:
    """Stream address and parameters of a ``<Connect><Stream>``, and the whole document."""
    root = fromstring(document)
    stream = root.find("Connect/Stream")
    assert stream is not None, document
    url = stream.attrib["url"]
    assert url.startswith("wss://"), url
    assert "?" not in url, "Twilio drops query strings"
    parameters = {each.attrib["name"]: each.attrib["value"] for each in stream}
    assert all(len(name) + len(value) <= 500 for name, value in parameters.items())
    return url, parameters, root


class TwilioStream:
    """One stream. ``heard`` is all that was played to the caller, 20 ms a piece, with its time."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        call_sid: str,
        parameters: dict[str, str],
        *,
        samples: bool = False,
        account_sid: str = ACCOUNT,
    ) -> None:
        self.socket, self.call_sid, self.sid = socket, call_sid, new_sid("MZ")
        self._parameters, self._samples, self._account = parameters, samples, account_sid
        self._buffer: deque[bytes | str] = deque()
        self._sequence = self.chunk = 0
        self.heard: list[tuple[float, bytes]] = []
        self.received: list[tuple[float, Json]] = []
        self.voice: deque[bytes] = deque()
        """What the caller says: pieces of 160 bytes; silence when it is empty."""
        self.is_patient = True
        """Whether the caller speaks only once the opening of the call was said."""
        self._has_heard = self._is_greeted = False
        self.clears: list[float] = []
        self.marks_returned: list[str] = []
        self.skipped = 0
        self.closed = asyncio.Event()
        self.returns_marks = True
        self.sends_media = True

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def _send(self, event: str, **fields: Any) -> None:
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), **fields}
        with suppress(ConnectionError, RuntimeError):
            await self.socket.send_str(json.dumps({**message, "streamSid": self.sid}))

    async def begin(self) -> None:
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        await self.socket.send_str(json.dumps(connected))
        start = {
            "accountSid": self._account,
            "streamSid": self.sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self._parameters,
        }
        await self._send("start", start=start)

    async def run(self) -> None:
        """Carry the stream until it is closed by either side."""
        await self.begin()
        speaking = asyncio.ensure_future(self._pace())
        try:
            async for message in self.socket:
                assert message.type is aiohttp.WSMsgType.TEXT, "31950: binary is not taken"
                await self._take(json.loads(message.data))
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            self.closed.set()

    async def _pace(self) -> None:
        next_s = self._now_s()
        while True:
            await self._step()
            next_s += 0.02
            await asyncio.sleep(max(0.0, next_s - self._now_s()))

    async def _step(self) -> None:
        """20 ms: one frame of the caller's, one to the caller."""
        if self.sends_media:
            self.chunk += 1
            at = (self.chunk - 1 + self.skipped) * (FRAME if self._samples else 20)
            may_speak = self._is_greeted or not self.is_patient
            payload = self.voice.popleft() if self.voice and may_speak else SILENCE
            media = {"track": "inbound", "chunk": str(self.chunk), "timestamp": str(at)}
            media["payload"] = base64.b64encode(payload).decode()
            await self._send("media", media=media)
        while self._buffer and isinstance(self._buffer[0], str):
            await self._return(str(self._buffer.popleft()))
        if self._buffer:
            frame = self._buffer.popleft()
            assert isinstance(frame, bytes)
            self.heard.append((self._now_s(), frame))
            self._has_heard |= _is_loud(frame)
        elif self._has_heard:
            self._is_greeted = True

    async def _return(self, name: str) -> None:
        if self.returns_marks:
            self.marks_returned.append(name)
            await self._send("mark", mark={"name": name})

    async def _take(self, message: Json) -> None:
        self.received.append((self._now_s(), message))
        assert message["streamSid"] == self.sid
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"], validate=True)
                assert audio[:4] != b"RIFF", "no file header"
                self._buffer.extend(audio[at : at + FRAME] for at in range(0, len(audio), FRAME))
            case "mark":
                self._buffer.append(message["mark"]["name"])
            case "clear":
                self.clears.append(self._now_s())
                pending = [each for each in self._buffer if isinstance(each, str)]
                self._buffer.clear()
                for name in pending:
                    await self._return(name)
            case other:
                raise AssertionError(f"31951: {other} is no message of this protocol")

    async def press(self, digit: str) -> None:
        await self._send("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def stop(self) -> None:
        """The caller hangs up."""
        await self._send("stop", stop={"accountSid": ACCOUNT, "callSid": self.call_sid})
        await self.socket.close()

    def loud_ms(self) -> int:
        """Milliseconds of sound that the caller has heard."""
        return 20 * sum(_is_loud(frame) for _, frame in self.heard)

    @property
    def waiting_ms(self) -> int:
        return 20 * sum(isinstance(each, bytes) for each in self._buffer)


def _is_loud(frame: bytes) -> bool:
    return frame.count(0xFF) + frame.count(0x7F) < 150


@asynccontextmanager
async def streaming(
    http: aiohttp.ClientSession,
    url: str,
    call_sid: str,
    parameters: dict[str, str],
    *,
    path: str = "/twilio/stream",
    samples: bool = False,
    account_sid: str = ACCOUNT,
    signature: str | None = None,
) -> AsyncIterator[TwilioStream]:
    """A stream to this gateway, run until the block ends.

    Args:
        signature: instead of the right one; "" for none.
    """
    public = "wss" + PUBLIC.removeprefix("https")
    signature = sign(public + path, {}) if signature is None else signature
    headers = {"x-twilio-signature": signature} if signature else {}
    async with http.ws_connect(url + path, headers=headers, autoclose=False) as socket:
        stream = TwilioStream(
            socket, call_sid, parameters, samples=samples, account_sid=account_sid
        )
        running = asyncio.ensure_future(stream.run())
        try:
            yield stream
        finally:
            await socket.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def calling_in(
    http: aiohttp.ClientSession, url: str, **form: str
) -> AsyncIterator[TwilioStream]:
    """An incoming call, from the webhook to its stream."""
    call_sid = new_sid()
    answer = await post_webhook(http, url, "/twilio/voice", {**voice_form(call_sid), **form})
    assert answer.status == 200, await answer.text()
    _, parameters, _ = read_connect(await answer.text())
    async with streaming(http, url, call_sid, parameters) as stream:
        yield stream


async def until(state: Any, limit_s: float = 90.0) -> None:
    """Until ``state()`` is true; the limit ends tests that hang."""
    async with asyncio.timeout(limit_s):
        while not state():
            await asyncio.sleep(0.01)
