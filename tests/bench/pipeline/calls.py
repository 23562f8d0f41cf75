"""Callers who speak in real time, and the times they note."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from tests.bench.pipeline import parts
from tests.bench.pipeline.speech import CHUNK_MS, Question


CLOSE = aiohttp.ClientWSTimeout(ws_close=0.2)
LISTEN_S = 1.2
"""A caller hears this much of an answer, then speaks over it."""
GIVE_UP_S = 8.0
QUIET_S = 0.25
"""Without a frame for so long, a paced agent has stopped."""


@dataclass
class Times:
    """Seconds, one entry per turn."""

    answers: list[float] = field(default_factory=list)
    interruptions: list[float] = field(default_factory=list)
    lost: int = 0
    """Questions without an answer."""
    early: int = 0
    """Answers that began before the recogniser had the text: to a part of the question."""
    floors: list[float] = field(default_factory=list)
    """For each interruption, when the VAD alone was sure of it."""
    lags: list[float] = field(default_factory=list)
    """How late the callers themselves sent: above 5 ms the round says little."""


class Line(Protocol):
    """One socket to a system: how audio goes out, and what comes in."""

    rate_hz: int

    async def open(self, http: aiohttp.ClientSession) -> None: ...

    async def send(self, pcm: bytes) -> None: ...

    def heard_since(self, since_s: float) -> float | None:
        """When agent audio first came after ``since_s``."""
        ...

    def stopped_since(self, since_s: float, now_s: float) -> float | None:
        """When the agent was last heard, once it is sure that it was the last."""
        ...

    async def close(self) -> None: ...


class PennyLine:
    """A Realtime client. Its player stops at ``speech_started``, which is the last frame heard."""

    rate_hz = 24_000

    def __init__(self, url: str, detection: dict[str, object]) -> None:
        self._url = url
        self._detection = detection
        self._audio: list[float] = []
        self._started: list[float] = []

    async def open(self, http: aiohttp.ClientSession) -> None:
        self._socket = await http.ws_connect(self._url, max_msg_size=0, timeout=CLOSE)
        session = {"type": "realtime", "audio": {"input": {"turn_detection": self._detection}}}
        await self._socket.send_json({"type": "session.update", "session": session})
        self._reading = asyncio.create_task(self._read())

    async def send(self, pcm: bytes) -> None:
        audio = base64.b64encode(pcm).decode()
        await self._socket.send_str(f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}')

    def heard_since(self, since_s: float) -> float | None:
        return _first_after(self._audio, since_s)

    def stopped_since(self, since_s: float, now_s: float) -> float | None:
        return _first_after(self._started, since_s)

    async def close(self) -> None:
        self._reading.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            now_s = time.perf_counter()
            if '"response.output_audio.delta"' in message.data[:200]:
                self._audio.append(now_s)
            elif '"input_audio_buffer.speech_started"' in message.data[:200]:
                self._started.append(now_s)
            elif '"type":"error"' in message.data[:200]:
                raise RuntimeError(json.loads(message.data)["error"]["message"])


class RawLine:
    """Raw PCM both ways over one socket; the server paces what it sends, or says when it stops."""

    rate_hz = 16_000

    def __init__(self, url: str, *, tells_when_it_stops: bool = False) -> None:
        self._url = url
        self._audio: list[float] = []
        self._stopped: list[float] = []
        self.tells_when_it_stops = tells_when_it_stops

    async def open(self, http: aiohttp.ClientSession) -> None:
        self._socket = await http.ws_connect(self._url, max_msg_size=0, timeout=CLOSE)
        self._reading = asyncio.create_task(self._read())

    async def send(self, pcm: bytes) -> None:
        await self._socket.send_bytes(pcm)

    def heard_since(self, since_s: float) -> float | None:
        return _first_after(self._audio, since_s)

    def stopped_since(self, since_s: float, now_s: float) -> float | None:
        if self.tells_when_it_stops:
            return _first_after(self._stopped, since_s)
        heard = self._audio[bisect_right(self._audio, since_s) :]
        last_s = heard[-1] if heard else since_s
        if now_s - last_s >= QUIET_S:
            return last_s
        # The next answer may follow at once: a hole in the frames is the end of this one.
        edges = zip([since_s, *heard], heard, strict=False)
        return next((before for before, after in edges if after - before >= QUIET_S), None)

    async def close(self) -> None:
        self._reading.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY and parts.is_loud(message.data):
                self._audio.append(time.perf_counter())
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._stopped.append(time.perf_counter())


def _first_after(times_s: list[float], since_s: float) -> float | None:
    at = bisect_right(times_s, since_s)
    return times_s[at] if at < len(times_s) else None


class Caller:
    """Speaks the questions one after the other, each over the answer to the one before."""

    def __init__(self, line: Line, questions: list[Question], quiet: Callable[[], bytes]) -> None:
        self._line = line
        self._questions = questions
        self._quiet = quiet
        self.times = Times()
        self.sent: list[bytes] = []
        self.onsets: list[int] = []
        """Where in ``sent`` each interruption began."""

    async def run(self) -> None:
        self._next_s = time.perf_counter()
        await self._be_quiet(0.6)
        speaking_over = False
        for question in self._questions:
            onset = len(self.sent)
            onset_s = await self._send(question.chunks[0])
            for chunk in question.chunks[1:]:
                await self._send(chunk)
            end_s = time.perf_counter()
            stopped_s = answered_s = None
            while time.perf_counter() - end_s < GIVE_UP_S:
                await self._send(self._quiet())
                now_s = time.perf_counter()
                if speaking_over and stopped_s is None:
                    stopped_s = self._line.stopped_since(onset_s, now_s)
                answered_s = answered_s or self._line.heard_since(end_s)
                if answered_s and (stopped_s or not speaking_over):
                    break
            self._note(end_s, answered_s)
            if speaking_over and stopped_s is not None:
                self.times.interruptions.append(stopped_s - onset_s)
                self.onsets.append(onset)
            speaking_over = answered_s is not None
            await self._be_quiet(LISTEN_S)

    def _note(self, end_s: float, answered_s: float | None) -> None:
        if answered_s is None:
            self.times.lost += 1
        elif answered_s - end_s < parts.STT_S:
            self.times.early += 1
        else:
            self.times.answers.append(answered_s - end_s)

    async def _be_quiet(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000 / CHUNK_MS)):
            await self._send(self._quiet())

    async def _send(self, chunk: bytes) -> float:
        """Wait for the chunk's time and send it; when that was."""
        self._next_s += CHUNK_MS / 1000
        delay_s = self._next_s - time.perf_counter()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        now_s = time.perf_counter()
        self.times.lags.append(now_s - self._next_s)
        self.sent.append(chunk)
        await self._line.send(chunk)
        return now_s
