"""A small ``/ws`` over a real socket: hears level instead of words, answers with a tone.

Every message of the caller is parsed with the protocol's own models, and every event it sends is
one of them, so that a caller who drifts from the protocol fails here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from penny.audio.level import rms_dbfs
from penny.protocol.codec import check_audio, dump, parse_client_message
from penny.protocol.conversation import (
    AudioDone,
    AudioStarted,
    Interruption,
    Playback,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TextInput,
    TranscriptFinal,
    TranscriptHeard,
)
from penny.protocol.error import SessionError
from penny.protocol.message import ClientMessage, ServerEvent
from penny.protocol.metering import LatencyMs, TurnMetrics
from penny.protocol.session import (
    SessionEnd,
    SessionEnded,
    SessionStart,
    SessionStarted,
    SpeakerInfo,
    Totals,
)


RATE_HZ = 24_000
LOUD_DBFS = -40.0
ONSET_FRAMES = 3
END_FRAMES = 8
QUESTION = "¿cuándo vence mi factura?"
ANSWER = "Su factura vence el quince de enero."


def tone(duration_ms: int, *, amplitude: float = 0.3, rate_hz: int = RATE_HZ) -> bytes:
    n = duration_ms * rate_hz // 1000
    step = 2 * math.pi * 300 / rate_hz
    return struct.pack(f"<{n}h", *(round(32767 * amplitude * math.sin(step * i)) for i in range(n)))


@dataclass
class Script:
    """What the server does; and, while it runs, what it was told."""

    answer: bytes = field(default_factory=lambda: tone(500))
    answers: bool = True
    sends_audio: bool = True
    refusal: SessionError | None = None
    hangs_up_on_speech: bool = False
    messages: list[ClientMessage] = field(default_factory=list)
    audio_bytes: int = 0

    def reports(self) -> list[Playback]:
        return [message for message in self.messages if isinstance(message, Playback)]


class _Session:
    def __init__(self, socket: web.WebSocketResponse, script: Script) -> None:
        self._socket = socket
        self._script = script
        self._turn = 0
        self._loud = 0
        self._quiet = 0
        self._speaking = False
        self._playing: str | None = None
        self._heard_ms = 0

    async def serve(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                await self._hear(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._obey(parse_client_message(message.data))

    async def _send(self, event: ServerEvent) -> None:
        await self._socket.send_str(dump(event))

    async def _obey(self, message: ClientMessage) -> None:
        self._script.messages.append(message)
        match message:
            case SessionStart():
                await self._start(message)
            case TextInput():
                self._turn += 1
                await self._answer(message.text, "text")
            case Playback(item_id=item_id) if item_id == self._playing:
                self._heard_ms = message.played_ms
                if message.ended:
                    self._playing = None
                    await self._send(
                        TranscriptHeard(
                            turn_id=f"turn_{self._turn}",
                            item_id=item_id,
                            text=ANSWER,
                            heard_ms=message.played_ms,
                            complete=True,
                        )
                    )
            case SessionEnd():
                totals = Totals(duration_ms=1, turns=self._turn)
                await self._send(SessionEnded(reason="client_ended", totals=totals))
                await self._socket.close()

    async def _start(self, message: SessionStart) -> None:
        if self._script.refusal is not None:
            await self._send(self._script.refusal)
            await self._socket.close(code=4404)
            return
        self._format = message.audio.agree()
        await self._send(
            SessionStarted(
                session_id="sess_1",
                mode=message.mode or "SELF_HOSTED",
                audio=self._format,
                language=message.language or "es",
                speaker=SpeakerInfo(model="embedded"),
            )
        )

    async def _hear(self, pcm: bytes) -> None:
        check_audio(len(pcm), self._format.input)
        self._script.audio_bytes += len(pcm)
        is_loud = rms_dbfs(pcm) > LOUD_DBFS
        self._loud = self._loud + 1 if is_loud else 0
        self._quiet = 0 if is_loud else self._quiet + 1
        if not self._speaking and self._loud >= ONSET_FRAMES:
            await self._hear_onset()
        elif self._speaking and self._quiet >= END_FRAMES:
            self._speaking = False
            await self._send(SpeechStopped(turn_id=f"turn_{self._turn}", at_ms=self._at_ms()))
            await self._answer(QUESTION, "speech")

    async def _hear_onset(self) -> None:
        if self._playing is not None:
            cut = Interruption(
                turn_id=f"turn_{self._turn}",
                item_id=self._playing,
                heard_ms=self._heard_ms,
                heard_text="Su factura",
                cut_text="vence el quince de enero.",
            )
            self._playing = None
            await self._send(cut)
        self._turn += 1
        self._speaking = True
        await self._send(SpeechStarted(turn_id=f"turn_{self._turn}", at_ms=self._at_ms()))
        if self._script.hangs_up_on_speech:
            await self._socket.close(code=1011)

    def _at_ms(self) -> int:
        return self._script.audio_bytes * 1000 // (2 * RATE_HZ)

    async def _answer(self, question: str, way: str) -> None:
        turn_id, item_id, response_id = (
            f"{name}_{self._turn}" for name in ("turn", "item", "resp")
        )
        said = {"turn_id": turn_id, "item_id": item_id, "response_id": response_id}
        await self._send(
            TranscriptFinal(
                role="user", turn_id=turn_id, item_id="u", text=question, understood=True
            )
        )
        if not self._script.answers:
            return
        if self._script.sends_audio:
            self._playing, self._heard_ms = item_id, 0
            await self._send(AudioStarted(**said))
            for start in range(0, len(self._script.answer), 960):
                await self._socket.send_bytes(self._script.answer[start : start + 960])
            duration_ms = len(self._script.answer) * 1000 // (2 * RATE_HZ)
            await self._send(AudioDone(**said, duration_ms=duration_ms))
        await self._send(
            TranscriptFinal(role="penny", turn_id=turn_id, item_id=item_id, text=ANSWER)
        )
        await self._send(ResponseDone(turn_id=turn_id, response_id=response_id, status="completed"))
        latency = LatencyMs(
            turn_decided=160, transcript=170, first_token=175, first_audio=180, done=190
        )
        await self._send(TurnMetrics(turn_id=turn_id, latency_ms=latency, input=way))


@asynccontextmanager
async def running_session(script: Script) -> AsyncIterator[str]:
    """Yields the address to call."""

    async def accept(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await _Session(socket, script).serve()
        return socket

    app = web.Application()
    app.router.add_get("/ws", accept)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/ws"
    finally:
        await runner.cleanup()
