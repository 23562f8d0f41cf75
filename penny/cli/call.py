"""A caller on ``/ws``: speaks in real time, listens, plays, reports what it heard.

One task reads the socket; the other is the only writer and keeps time: a frame every 20 ms on
absolute deadlines, silence where there is nothing to say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from penny.cli.loudspeaker import Loudspeaker, Report
from penny.cli.turn_log import TurnLog
from penny.cli.utterance import FORMAT, FRAME_MS, SILENCE, LiveAudio, Utterance, measure


Json = dict[str, Any]
Sink = Callable[[Json], None]
Converse = Callable[["Call"], Awaitable[None]]

QUIET_MS = 700
"""Silence on both sides that ends an answer: longer than the pause that ends a turn."""
LEAD_MS = 300
"""Silence before the first word, for the ears to learn the room."""
LARGEST_MESSAGE_BYTES = 4 * 1024 * 1024
CONNECT_TIMEOUT_S = 30.0
END_TIMEOUT_S = 5.0


class CallFailed(Exception):
    """The call did not come to an answer; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What to call and how long to wait.

    ``over_ms``: speak each next utterance over the running answer, so long after its start.
    """

    url: str
    mode: str | None = None
    language: str | None = None
    over_ms: int | None = None
    start_timeout_s: float = 60.0
    answer_timeout_s: float = 30.0


async def hold_call(
    options: CallOptions, sink: Sink, converse: Converse
) -> tuple[Call | None, str | None]:
    """Connect, converse, hang up. Returns the call, if it began, and why it failed, if it did."""
    call: Call | None = None
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CONNECT_TIMEOUT_S)) as http,
            http.ws_connect(
                options.url, max_msg_size=LARGEST_MESSAGE_BYTES, heartbeat=20.0
            ) as socket,
        ):
            call = Call(socket, options, sink)
            await call.start()
            await call.run(converse)
    except CallFailed as error:
        return call, str(error)
    except aiohttp.WSServerHandshakeError as error:
        return call, f"{options.url} answered HTTP {error.status}; is it Penny's /ws?"
    except aiohttp.InvalidURL:
        return call, f"{options.url} is not an address; try ws://127.0.0.1:8080/ws"
    except (aiohttp.ClientConnectionError, OSError):
        if call is not None:
            return call, "the connection was lost"
        return None, f"cannot connect to {options.url}; start Penny with: make run"
    return call, None


class Call:
    """One session as a client: sends audio in real time, plays what comes, logs the turns."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, options: CallOptions, sink: Sink
    ) -> None:
        self.started: Json = {}
        self.log = TurnLog()
        self.loudspeaker = Loudspeaker(FORMAT.rate_hz)
        self.answer_delays_ms: list[int | None] = []
        """For each utterance: from its last sample to the first audio heard of its answer."""
        self._socket = socket
        self._options = options
        self._sink = sink
        self._clock = asyncio.get_running_loop().time
        self._began_s = self._clock()
        self._deadline_s = self._began_s
        self._quiet_since_ms = 0.0
        self._progress_ms = 0.0
        self._reader: asyncio.Task[None] | None = None
        self._live: LiveAudio | None = None
        self._played_bytes = 0
        self._reports: list[Report] = []

    @property
    def now_ms(self) -> float:
        return (self._clock() - self._began_s) * 1000

    async def start(self) -> None:
        """Open the session. Raises CallFailed."""
        audio = {"encoding": FORMAT.encoding, "rate_hz": FORMAT.rate_hz}
        message: Json = {"type": "session_start", "audio": {"input": audio, "output": audio}}
        if self._options.mode:
            message["mode"] = self._options.mode
        if self._options.language:
            message["language"] = self._options.language
        await self._socket.send_str(json.dumps(message))
        try:
            async with asyncio.timeout(self._options.start_timeout_s):
                while not self.started:
                    await self._receive_one()
        except TimeoutError:
            seconds = self._options.start_timeout_s
            raise CallFailed(f"no session_started within {seconds:g} s") from None
        self._began_s = self._deadline_s = self._clock()

    async def run(self, converse: Converse) -> None:
        """Converse while a task of its own reads. Raises CallFailed."""
        reader = self._reader = asyncio.create_task(self._read(), name="talk-reader")
        try:
            await converse(self)
            await self._send({"type": "session_end"})
            await asyncio.wait([reader], timeout=END_TIMEOUT_S)
        except ConnectionError as error:
            # What the server said before it closed may still be on its way in.
            await asyncio.wait([reader], timeout=1.0)
            raise self._explain_end() from error
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def say_all(self, utterances: Sequence[Utterance]) -> None:
        """Speak each after the answer to the one before, or over it. Raises CallFailed."""
        await self._until(lambda: self._is_quiet(LEAD_MS), self._why_silent)
        firsts: list[int] = []
        ends_ms: list[float] = []
        for number, utterance in enumerate(utterances):
            first = len(self.log.turns)
            firsts.append(first)
            ends_ms.append(await self._say(utterance))
            is_last = number == len(utterances) - 1
            over = self._options.over_ms is not None and not is_last
            is_reached = self._is_time_to_interrupt if over else self._is_answered
            await self._until(partial(is_reached, first), self._why_silent, first)
        # Not before: an answer that was spoken over has then been heard as far as it will be.
        lasts = [*firsts[1:], len(self.log.turns)]
        for utterance, first, last, end_ms in zip(utterances, firsts, lasts, ends_ms, strict=True):
            self._check_heard(utterance, self.log.items_between(first, last), end_ms)

    async def talk_live(self, live: LiveAudio, stop: asyncio.Event) -> None:
        """Let a person talk until ``stop``."""
        self._live = live
        while not stop.is_set():
            await self._tick(live.read())

    async def _say(self, utterance: Utterance) -> float:
        """Returns when the last of it was sent."""
        self._emit({"type": "utterance_started", "name": utterance.name})
        if utterance.text:
            await self._send({"type": "text_input", "text": utterance.text})
        for frame in utterance.frames():
            await self._tick(frame)
        self._emit({"type": "utterance_ended", "name": utterance.name})
        return self.now_ms

    async def _until(
        self, is_reached: Callable[[], bool], explain: Callable[[int], str], first: int = 0
    ) -> None:
        """Keep silent until then. Raises CallFailed when for too long nothing happens at all."""
        began_ms = self.now_ms
        while not is_reached():
            idle_ms = self.now_ms - max(began_ms, self._progress_ms)
            if idle_ms > self._options.answer_timeout_s * 1000:
                raise CallFailed(explain(first))
            await self._tick(SILENCE)

    def _is_quiet(self, for_ms: float) -> bool:
        return (
            not self.log.waiting
            and not self.loudspeaker.busy
            and self.now_ms - self._quiet_since_ms >= for_ms
        )

    def _is_answered(self, first: int) -> bool:
        return self.log.answered_since(first) and self._is_quiet(QUIET_MS)

    def _is_time_to_interrupt(self, first: int) -> bool:
        started_ms = self.loudspeaker.started_at_ms(self.log.items_between(first))
        if started_ms is not None and self.loudspeaker.busy:
            return self.now_ms - started_ms >= (self._options.over_ms or 0)
        return self._is_answered(first)

    def _check_heard(self, utterance: Utterance, items: list[str], ended_ms: float) -> None:
        started_ms = self.loudspeaker.started_at_ms(items)
        self.answer_delays_ms.append(None if started_ms is None else round(started_ms - ended_ms))
        loudness = measure(self.loudspeaker.heard(items))
        if not loudness.duration_ms:
            raise CallFailed(f"{utterance.name}: no answer: the turn was taken, but no audio came")
        if not loudness.audible:
            raise CallFailed(
                f"{utterance.name}: the answer cannot be heard "
                f"({loudness.duration_ms} ms at {loudness.rms_dbfs} dBFS)"
            )

    def _why_silent(self, first: int) -> str:
        if self.log.errors:
            return f"no answer; {self.log.errors[-1]}"
        if len(self.log.turns) <= first:
            return "no answer: Penny noticed no speech"
        if not self.log.items_between(first):
            return "no answer: the turn was taken, but no audio came"
        return "the answer did not come to its end"

    async def _tick(self, frame: bytes) -> None:
        """Send one frame when it is due, and the reports that are due by then."""
        self._deadline_s += FRAME_MS / 1000
        late_s = self._clock() - self._deadline_s
        if late_s > 1.0:
            self._deadline_s = self._clock()  # this machine slept: do not send a burst
        await asyncio.sleep(max(0.0, -late_s))
        if self._reader is not None and self._reader.done():
            await self._reader  # raises why it ended
        now_ms = self.now_ms
        reports = self._reports + self.loudspeaker.advance(now_ms)
        self._reports = []
        if self._live is not None:
            self._live.play(bytes(self.loudspeaker.timeline[self._played_bytes :]))
            self._played_bytes = len(self.loudspeaker.timeline)
        if self.loudspeaker.busy or self.log.waiting or reports:
            self._quiet_since_ms = now_ms
        if reports:
            self._progress_ms = now_ms
        for report in reports:
            await self._report(report)
        await self._socket.send_bytes(frame)

    async def _report(self, report: Report) -> None:
        await self._send(
            {
                "type": "playback",
                "item_id": report.item_id,
                "played_ms": report.played_ms,
                "ended": report.ended,
            }
        )

    async def _send(self, message: Json) -> None:
        await self._socket.send_str(json.dumps(message))

    async def _read(self) -> None:
        """Runs until the connection ends; raises CallFailed then."""
        while True:
            await self._receive_one()

    async def _receive_one(self) -> None:
        message = await self._socket.receive()
        self._progress_ms = self.now_ms
        if message.type is aiohttp.WSMsgType.BINARY:
            self.loudspeaker.feed(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            self._take(message.data)
        else:
            raise self._explain_end()

    def _take(self, text: str) -> None:
        try:
            event = json.loads(text)
        except ValueError:
            raise CallFailed("the server sent a text message that is not JSON") from None
        if not isinstance(event, dict):
            raise CallFailed("the server sent a text message that is not a JSON object")
        self.log.feed(event)
        item_id = str(event.get("item_id", ""))
        match event.get("type"):
            case "session_started":
                self.started = event
            case "audio_started":
                self.loudspeaker.begin(item_id)
            case "audio_done":
                self.loudspeaker.finish(item_id)
            case "interruption":
                self._reports += self.loudspeaker.advance(self.now_ms) + self.loudspeaker.drop()
        self._emit(event)

    def _explain_end(self) -> CallFailed:
        if self.log.ended is not None:
            words = self.log.ended.get("message") or self.log.ended.get("reason")
            return CallFailed(f"Penny ended the session: {words}")
        if self.log.errors:
            return CallFailed(self.log.errors[-1])
        code = self._socket.close_code
        return CallFailed(f"the connection was lost (close code {code})")

    def _emit(self, event: Json) -> None:
        self._sink({**event, "at_ms": round(self.now_ms)})
