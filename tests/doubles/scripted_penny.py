"""A server that speaks `/ws` for real and answers with tones: what the browser client is tried on.

It hears by loudness: 150 ms of sound is speech, 400 ms of silence ends a turn. Every event goes
through the protocol's models, every client message through its parser.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from aiohttp import WSMsgType, web

from penny.errors import ProtocolError
from penny.gateway.pages import render
from penny.gateway.routes import SECURITY_HEADERS, WEB_ROOT
from penny.protocol.codec import check_audio, dump, parse_client_message
from penny.protocol.conversation import (
    AudioDone,
    AudioStarted,
    Interrupt,
    Interruption,
    Playback,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TextInput,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptHeard,
)
from penny.protocol.error import CloseCode, SessionError
from penny.protocol.message import ClientMessage, ServerEvent
from penny.protocol.metering import LatencyMs, TurnMetrics
from penny.protocol.session import (
    Capabilities,
    Notice,
    SessionEnd,
    SessionEnded,
    SessionProgress,
    SessionResume,
    SessionResumed,
    SessionStart,
    SessionStarted,
    SpeakerInfo,
    Totals,
)
from tests.doubles import scripted_brain
from tests.doubles.http import cut, serving_app


Event = TypeVar("Event", bound=ServerEvent)
FRAME_MS = 20
ANSWER = "Su factura vence el quince de enero, y el importe es de mil quinientos euros."
MODES: dict[str, Any] = {
    "default_mode": "SELF_HOSTED",
    "allow_user_selection": True,
    "examples": ["¿Cuándo vence mi factura?", "¿Cómo puedo pagar?"],
    "modes": [
        {
            "name": "SELF_HOSTED",
            "label": "Privado (modelos locales)",
            "description": "Mayor privacidad",
            "latency_ms": {"p50": 1240, "p95": 2000, "turns": 12},
            "cost_per_minute_usd": 0.01,
            "privacy": "Total",
            "available": True,
            "reason": None,
            "remedy": None,
            "notice": {
                "es": "En español entiendo una lista de preguntas.",
                "en": "In Spanish I understand a list of questions.",
            },
            "hears": {"languages": ["es", "en"], "closed_set": ["es"]},
            "default": True,
            "selectable": True,
        },
        {
            "name": "EXTERNAL",
            "label": "Rápido (APIs externas)",
            "description": "Conversación fluida",
            "latency_ms": None,
            "cost_per_minute_usd": 0.08,
            "privacy": "APIs externas",
            "available": False,
            "notice": None,
            "hears": {"languages": ["*"], "closed_set": []},
            "default": False,
            "reason": "falta la variable OPENAI_API_KEY",
            "remedy": "export OPENAI_API_KEY=… antes de arrancar Penny",
            "selectable": True,
        },
    ],
}
IN_ENGLISH: dict[str, Any] = {
    "Privado (modelos locales)": "Private (own models)",
    "Mayor privacidad": "The most privacy",
    "Total": "Complete",
    "Rápido (APIs externas)": "Fast (vendors' APIs)",
    "Conversación fluida": "Fluent conversation",
    "APIs externas": "Vendors' APIs",
    "falta la variable OPENAI_API_KEY": "OPENAI_API_KEY is not set",
    "export OPENAI_API_KEY=… antes de arrancar Penny": "export OPENAI_API_KEY=… before Penny",
    "¿Cuándo vence mi factura?": "When is my bill due?",
    "¿Cómo puedo pagar?": "How can I pay?",
}
EXTERNAL_READY = {**MODES, "modes": [dict(mode) for mode in MODES["modes"]]}
EXTERNAL_READY["modes"][1].update(available=True, reason=None, remedy=None)


@dataclass
class ScriptedPenny:
    """What the server shall do, and what it saw."""

    answer_ms: int = 500
    modes: dict[str, Any] = field(default_factory=lambda: MODES)
    refuse: SessionError | None = None
    cold_start_ms: int = 0
    stall_ms: int = 0
    """How long the network holds back the second half of an answer."""
    resumable: bool = False
    refusals: int = 0
    """How many more connections are dropped at once, as by a network that is away."""
    deaf: bool = False
    """The line takes messages that never arrive, as one does whose break is not noticed yet."""
    url: str = ""
    starts: list[SessionStart] = field(default_factory=list)
    messages: list[ClientMessage] = field(default_factory=list)
    sent: list[ServerEvent] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    call: Call | None = None
    protocols: list[str] = field(default_factory=list)
    resumes: list[SessionResume] = field(default_factory=list)
    audio_messages: int = 0

    def drop(self) -> None:
        """Cut the live connection without a word, as a network does."""
        assert self.call is not None
        self.deaf = False
        cut(self.call.socket)

    def reports(self, item_id: str) -> list[Playback]:
        """Every playback report of one item, in order."""
        return [m for m in self.messages if isinstance(m, Playback) and m.item_id == item_id]

    def events(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.sent if isinstance(event, kind)]


class Call:
    """One connection."""

    def __init__(self, penny: ScriptedPenny, socket: web.WebSocketResponse) -> None:
        self.penny = penny
        self.socket = socket
        self.rate_hz = 24_000
        self.received_ms = 0.0
        self.loud_ms = self.quiet_ms = 0.0
        self.hearing = False
        self.turn = 0
        self.answer: asyncio.Task[None] | None = None
        self.playing: dict[str, str] = {}  # item -> turn, until its playback ended

    async def send(self, event: ServerEvent) -> None:
        self.penny.sent.append(event)
        await self.socket.send_str(dump(event))

    async def run(self) -> None:
        try:
            async for message in self.socket:
                if self.penny.deaf:
                    continue
                if message.type is WSMsgType.TEXT:
                    await self.take_text(message.data)
                elif message.type is WSMsgType.BINARY:
                    await self.take_audio(message.data)
        finally:
            await self.stop_answer()

    async def resume(self, message: SessionResume) -> None:
        said = len(self.penny.messages) - len(self.penny.starts) - len(self.penny.resumes) - 1
        self.penny.resumes.append(message)
        if not self.penny.resumable:
            gone = "resume_token: this session is over"
            await self.send(SessionError(code="resume_failed", message=gone, retryable=False))
            await self.socket.close(code=CloseCode.INVALID_START)
            return
        # Belongs to its connection alone, and is not counted by either side.
        await self.socket.send_str(
            dump(SessionResumed(session_id="sess_1", replayed=0, received=said))
        )

    async def take_text(self, text: str) -> None:
        try:
            message = parse_client_message(text)
        except ProtocolError as error:
            self.penny.faults.append(error.message)
            raise
        self.penny.messages.append(message)
        match message:
            case SessionStart():
                await self.start(message)
            case SessionResume():
                await self.resume(message)
            case TextInput(text="corta"):
                self.penny.drop()
            case TextInput(text="falla"):
                await self.send(
                    SessionError(code="engine_failed", message="stt: no pudo", retryable=True)
                )
            case TextInput():
                self.turn += 1
                await self.take_turn(message.text, kind="text")
            case Interrupt():
                await self.interrupt()
            case Playback(ended=True):
                await self.finish_playback(message)
            case SessionEnd():
                totals = Totals(duration_ms=int(self.received_ms), turns=self.turn)
                await self.send(SessionEnded(reason="client_ended", totals=totals))
                await self.socket.close()
            case _:
                pass

    async def start(self, message: SessionStart) -> None:
        self.penny.starts.append(message)
        if self.penny.refuse is not None:
            await self.send(self.penny.refuse)
            return
        if self.penny.cold_start_ms:
            eta = self.penny.cold_start_ms
            await self.send(SessionProgress(stage="loading_models", message="…", eta_ms=eta))
            await asyncio.sleep(eta / 1000)
        self.rate_hz = message.audio.agree().input.rate_hz
        brain = message.mode == "EXTERNAL"
        await self.send(
            SessionStarted(
                session_id="sess_1",
                mode=message.mode or "SELF_HOSTED",
                audio=message.audio.agree(),
                language=message.wanted_language or "es",
                speaker=SpeakerInfo(model="scripted", voice="tone"),
                notice=Notice(
                    es="En español entiendo una lista de preguntas.",
                    en="In Spanish I understand a list of questions.",
                )
                if not brain
                else None,
                capabilities=Capabilities(
                    context_updates=brain, tools=brain, cost=brain, resume=self.penny.resumable
                ),
                resume_token="token_1" if self.penny.resumable else None,
            )
        )

    async def take_audio(self, pcm: bytes) -> None:
        stream = self.penny.starts[-1].audio.agree().input
        check_audio(len(pcm), stream)
        self.penny.audio += pcm
        duration_ms = len(pcm) / 2 / self.rate_hz * 1000
        self.received_ms += duration_ms
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
        if float(np.sqrt(np.mean(samples**2))) > 0.02:
            self.loud_ms, self.quiet_ms = self.loud_ms + duration_ms, 0.0
        else:
            self.quiet_ms += duration_ms
            if self.quiet_ms > 200 and not self.hearing:
                self.loud_ms = 0.0
        if not self.hearing and self.loud_ms >= 150:
            self.hearing, self.turn = True, self.turn + 1
            await self.send(
                SpeechStarted(turn_id=f"turn_{self.turn}", at_ms=int(self.received_ms - 150))
            )
            await self.interrupt()
        elif self.hearing and self.quiet_ms >= 400:
            self.hearing, self.loud_ms = False, 0.0
            end_ms = int(self.received_ms - 400)
            await self.send(SpeechStopped(turn_id=f"turn_{self.turn}", at_ms=end_ms))
            await self.take_turn("¿Cuándo vence mi factura?", kind="speech")

    async def take_turn(self, text: str, *, kind: str) -> None:
        turn_id, item_id = f"turn_{self.turn}", f"user_{self.turn}"
        await self.send(
            TranscriptFinal(role="user", turn_id=turn_id, item_id=item_id, text=text, language="es")
        )
        await self.stop_answer()
        self.answer = asyncio.create_task(self.speak(turn_id, kind), name=f"answer {turn_id}")

    async def speak(self, turn_id: str, kind: str) -> None:
        item_id, response_id = f"item_{turn_id}", f"resp_{turn_id}"
        names = {"turn_id": turn_id, "item_id": item_id}
        for word in ANSWER.split():
            await self.send(TranscriptDelta(role="penny", delta=f"{word} ", **names))
        self.playing[item_id] = turn_id
        await self.send(AudioStarted(response_id=response_id, **names))
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for start_ms in range(0, self.penny.answer_ms, FRAME_MS):
            if start_ms == self.penny.answer_ms // 2:
                await asyncio.sleep(self.penny.stall_ms / 1000)
            await self.socket.send_bytes(self.tone(start_ms))
            self.penny.audio_messages += 1
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - loop.time()))
        duration_ms = self.penny.answer_ms
        await self.send(TranscriptFinal(role="penny", text=ANSWER, **names))
        await self.send(AudioDone(response_id=response_id, duration_ms=duration_ms, **names))
        await self.send(ResponseDone(turn_id=turn_id, response_id=response_id, status="completed"))
        await self.measure(turn_id, kind)
        if self.penny.starts[-1].mode == "EXTERNAL":
            for event in scripted_brain.think(self.turn, item_id):
                await self.send(event)

    async def measure(self, turn_id: str, kind: str) -> None:
        latency = LatencyMs(
            turn_decided=400, transcript=520, first_token=540, first_audio=610, done=1020
        )
        source = "text" if kind == "text" else "speech"
        await self.send(TurnMetrics(turn_id=turn_id, latency_ms=latency, input=source))

    def tone(self, start_ms: int) -> bytes:
        at = np.arange(FRAME_MS * self.rate_hz // 1000) / self.rate_hz + start_ms / 1000
        return (np.sin(2 * np.pi * 440 * at) * 8000).astype("<i2").tobytes()

    async def interrupt(self) -> None:
        if not self.playing:
            return
        await self.stop_answer()
        item_id, turn_id = self.playing.popitem()
        reports = self.penny.reports(item_id)
        heard_ms = reports[-1].played_ms if reports else 0
        cut_at = ANSWER.find(" ", min(len(ANSWER), len(ANSWER) * heard_ms // self.penny.answer_ms))
        await self.send(
            Interruption(
                turn_id=turn_id,
                item_id=item_id,
                heard_ms=heard_ms,
                heard_text=ANSWER[:cut_at],
                cut_text=ANSWER[cut_at:],
            )
        )
        await self.send(
            ResponseDone(turn_id=turn_id, response_id=f"resp_{turn_id}", status="cancelled")
        )

    async def finish_playback(self, report: Playback) -> None:
        turn_id = self.playing.pop(report.item_id, None)
        if turn_id is not None:
            await self.send(
                TranscriptHeard(
                    turn_id=turn_id,
                    item_id=report.item_id,
                    text=ANSWER,
                    heard_ms=report.played_ms,
                    complete=True,
                )
            )

    async def stop_answer(self) -> None:
        if self.answer is not None:
            self.answer.cancel()
            await asyncio.gather(self.answer, return_exceptions=True)
            self.answer = None


def _in_english(value: Any) -> Any:
    match value:
        case dict():
            return {key: _in_english(inner) for key, inner in value.items()}
        case list():
            return [_in_english(inner) for inner in value]
        case str():
            return IN_ENGLISH.get(value, value)
    return value


async def _serve_page(_: web.Request) -> web.Response:
    return web.Response(body=render("/"), content_type="text/html", charset="utf-8")


async def _serve_rooms(_: web.Request) -> web.Response:
    return web.json_response({"rooms": []})


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


@asynccontextmanager
async def serve(penny: ScriptedPenny) -> AsyncIterator[ScriptedPenny]:
    """Serve the page and `/ws` on a free loopback port; ``penny.url`` says where."""

    async def answer_call(request: web.Request) -> web.WebSocketResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        penny.protocols = [name.strip() for name in offered.split(",") if name]
        if penny.refusals > 0:
            penny.refusals -= 1
            assert request.transport is not None
            request.transport.abort()
        socket = web.WebSocketResponse(protocols=("penny",))
        await socket.prepare(request)
        penny.call = Call(penny, socket)
        await penny.call.run()
        return socket

    async def list_modes(request: web.Request) -> web.Response:
        in_english = request.query["language"] == "en"
        return web.json_response(_in_english(penny.modes) if in_english else penny.modes)

    app = web.Application()
    app.router.add_get("/", _serve_page)
    app.router.add_get("/v1/rooms", _serve_rooms)
    app.router.add_static("/web", WEB_ROOT)
    app.on_response_prepare.append(_secure)
    app.router.add_get("/v1/modes", list_modes)
    app.router.add_get("/ws", answer_call)
    async with serving_app(app, cancels=False) as url:
        penny.url = url
        yield penny
