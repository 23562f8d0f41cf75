"""A caller of the soak: paced audio, a turn every few seconds, back again whenever cut off."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import aiohttp

from tests.doubles.caller import Caller, calling


FRAME_S = 0.02
PAUSE_S = 1.0
PCM_BYTES_PER_MS = 48
ENDING = "Hasta pronto."
"""Of the answer of ``tests.doubles.fixed_worker``."""


@dataclass
class Tally:
    """What all callers of a soak saw."""

    asked: int = 0
    answered: int = 0
    resumed: int = 0
    replaced: int = 0
    """Turns that another worker answered again."""
    wrong_audio: int = 0
    """Answers whose audio was longer or shorter than Penny said: a lost or doubled frame."""
    out_of_order: int = 0
    """Answers whose events did not come once each, in order."""
    lateness_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    wrong_turns: list[str] = field(default_factory=list)
    """What the first wrong turn of a caller looked like."""


class SoakCaller:
    """Talks until ``stop``; ``measure`` says whether its line is healthy enough to time frames."""

    def __init__(self, url: str, tally: Tally, stop: asyncio.Event, *, measure: bool) -> None:
        self._url = url
        self._tally = tally
        self._stop = stop
        self._measure = measure
        self._caller: Caller | None = None
        self._token = ""
        self._sent: list[str] = []
        """Text messages since the start: of those that ``session_resumed`` does not count, the
        line that broke took the rest."""
        self._told = False
        self._pending: list[dict[str, object]] = []
        self._stack = AsyncExitStack()

    async def run(self) -> None:
        async with self._stack:
            await self._start()
            try:
                while not self._stop.is_set():
                    self._tally.asked += 1
                    await self._take_turn()
                    self._tally.answered += 1
                    await self._send_silence(PAUSE_S)
                await self._finish()
            except Exception as error:
                self._tally.failures.append(f"{type(error).__name__}: {error}")

    async def _start(self) -> None:
        self._caller = await self._stack.enter_async_context(calling(self._url))
        await self._caller.send("session_start")
        self._token = (await self._caller.until("session_started"))["resume_token"]

    async def _finish(self) -> None:
        assert self._caller is not None
        await self._caller.send("session_end")
        await self._caller.until("session_ended")

    async def _take_turn(self) -> None:
        """Ask, and hear the answer to its end over as many connections as it takes."""
        events: list[dict[str, object]] = []
        heard, began_s, answer = 0, 0.0, ""
        await self._say({"type": "text_input", "text": "¿Cuándo vence mi factura?"})
        while not any(_is_heard(event, answer) for event in events):
            message = await self._receive()
            if isinstance(message, bytes):
                now_s = asyncio.get_running_loop().time()
                began_s = began_s or now_s
                if self._measure:
                    due_s = began_s + heard / PCM_BYTES_PER_MS / 1000
                    # The first frames come together, ahead of time: that is the jitter buffer.
                    self._tally.lateness_ms.append(max(0.0, (now_s - due_s) * 1000))
                heard += len(message)
                continue
            events.append(message)
            match message:
                case {"type": "transcript_final", "role": "penny", "text": str(text)}:
                    answer = str(message["item_id"]) if text.endswith(ENDING) else answer
        self._judge(events, answer, heard)

    def _judge(self, events: list[dict[str, object]], answer: str, heard: int) -> None:
        """A worker that is lost on a machine too busy for it is replaced, which a warning tells:
        its turn is answered again, after an excuse. All else comes once."""
        is_replaced = any(event.get("code") == "degraded" for event in events)
        of_answer = [event for event in events if event.get("item_id") == answer]
        kinds = [str(event["type"]) for event in (of_answer if is_replaced else events)]
        once = ["audio_started", "audio_done", "transcript_heard"]
        once += [] if is_replaced else ["response_done"]
        is_wrong = any(kinds.count(kind) != 1 for kind in once)
        told_ms = [event["duration_ms"] for event in events if event["type"] == "audio_done"]
        is_short = not is_replaced and [heard] != [
            int(str(ms)) * PCM_BYTES_PER_MS for ms in told_ms
        ]
        self._tally.replaced += is_replaced
        self._tally.wrong_audio += is_short
        self._tally.out_of_order += is_wrong
        if (is_wrong or is_short) and not self._told:
            self._told = True
            told = [event["type"] for event in events]
            self._tally.wrong_turns.append(
                f"{heard / PCM_BYTES_PER_MS:.0f} of {told_ms} ms; {told}"
            )

    async def _say(self, message: dict[str, str]) -> None:
        assert self._caller is not None
        self._sent.append(json.dumps(message))
        with suppress(ConnectionError, aiohttp.ClientError):  # it is sent again when we are back
            await self._caller.socket.send_str(self._sent[-1])

    async def _receive(self) -> bytes | dict[str, object]:
        while True:
            if self._pending:
                return self._pending.pop(0)
            caller = self._caller
            assert caller is not None
            events, audio = len(caller.events), len(caller.audio)
            try:
                await caller._receive("anything")
            except (ConnectionError, aiohttp.ClientError):
                await self._come_back()
                continue
            if len(caller.events) > events:
                return caller.events[-1]
            return bytes(caller.audio[audio:])

    async def _send_silence(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number in range(round(seconds / FRAME_S)):
            assert self._caller is not None
            try:
                await self._caller.socket.send_bytes(bytes(960))
            except (ConnectionError, aiohttp.ClientError):
                await self._come_back()
            await asyncio.sleep(max(0.0, began_s + number * FRAME_S - loop.time()))

    async def _come_back(self) -> None:
        assert self._caller is not None
        received = self._caller.received
        for _attempt in range(50):
            try:
                caller = await self._stack.enter_async_context(calling(self._url))
                await caller.send("session_resume", resume_token=self._token, received=received)
                while not caller.events:
                    await caller._receive("session_resumed")
                if caller.events[0]["type"] != "session_resumed":
                    raise RuntimeError(f"not resumed: {caller.events[0]}")
            except (ConnectionError, aiohttp.ClientError):
                await asyncio.sleep(0.1)
                continue
            caller.received = received
            self._caller = caller
            self._pending.append(caller.events[0])
            self._tally.resumed += 1
            with suppress(ConnectionError, aiohttp.ClientError):
                for lost in self._sent[int(caller.events[0]["received"]) :]:
                    await caller.socket.send_str(lost)
            return
        raise RuntimeError("the gateway was out of reach for 50 attempts")


def _is_heard(event: dict[str, object], answer: str) -> bool:
    return event["type"] == "transcript_heard" and event["item_id"] == answer
