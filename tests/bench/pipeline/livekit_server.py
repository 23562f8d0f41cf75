"""LiveKit agents with the same engines of fixed latency. Prints its port.

    python -m tests.bench.pipeline.livekit_server [tuned]     (in the peer's own environment)

Its defaults with its own Silero, or ``tuned``: turns end by that alone after 0.3 s, speech
interrupts after 96 ms, an answer is generated and synthesised before the turn is certain. The
media server and WebRTC are left out, which only helps it: audio goes out as it is made, and
"stop" when an interruption clears the loudspeaker.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop
from aiohttp import WSMsgType, web
from livekit import rtc
from livekit.agents import Agent, AgentSession, inference, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from tests.bench.pipeline import parts
from tests.bench.relay.peer_livekit import SocketInput


RATE_HZ = 16_000
TUNED = "tuned" in sys.argv[1:]
STOP = "stop"


class SpeechToText(stt.STT):
    def __init__(self, told: parts.Told) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self._told = told

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError("this engine streams")

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> stt.RecognizeStream:
        return Recognition(self._told, stt=self, conn_options=conn_options)


class Recognition(stt.RecognizeStream):
    def __init__(self, told: parts.Told, **options: Any) -> None:
        super().__init__(**options)
        self._told = told

    async def _run(self) -> None:
        recogniser = parts.Recogniser()
        waiting: asyncio.Task[None] | None = None
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            before = recogniser.due_s()
            self._told.feed(bytes(frame.data), frame.sample_rate)
            recogniser.feed(bytes(frame.data), time.perf_counter())
            if recogniser.due_s() != before:
                if waiting is not None:
                    waiting.cancel()
                waiting = asyncio.create_task(self._deliver(recogniser))

    async def _deliver(self, recogniser: parts.Recogniser) -> None:
        due_s = recogniser.due_s()
        assert due_s is not None
        await asyncio.sleep(due_s - time.perf_counter())
        recogniser.take()
        if text := self._told.text():
            self._event_ch.send_nowait(
                stt.SpeechEvent(
                    type=stt.SpeechEventType.FINAL_TRANSCRIPT,
                    alternatives=[stt.SpeechData(language="es", text=text)],
                )
            )


class LanguageModel(llm.LLM):
    def __init__(self, told: parts.Told) -> None:
        super().__init__()
        self.told = told

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        return Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Answer(llm.LLMStream):
    async def _run(self) -> None:
        due_s = time.perf_counter() + parts.LLM_FIRST_S
        assert isinstance(self._llm, LanguageModel)
        for token in parts.tokens(self._llm.told.answer):
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            due_s += parts.LLM_GAP_S
            delta = llm.ChoiceDelta(role="assistant", content=token)
            self._event_ch.send_nowait(llm.ChatChunk(id="answer", delta=delta))


class TextToSpeech(tts.TTS):
    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE_HZ, num_channels=1
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return Speech(tts=self, input_text=text, conn_options=conn_options)


class Speech(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="speech", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm"
        )
        await asyncio.sleep(parts.TTS_FIRST_S)
        for _ in range(len(self.input_text) * parts.AUDIO_MS_PER_CHARACTER // 100):
            output_emitter.push(parts.tone(100, RATE_HZ))
        output_emitter.flush()


class Loudspeaker(AudioOutput):
    """A client that plays what it gets, and says when it has played it all."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__(
            label="socket",
            next_in_chain=None,
            sample_rate=RATE_HZ,
            capabilities=AudioOutputCapabilities(pause=False),
        )
        self._socket = socket
        self._begun_s = self._sent_s = 0.0
        self._ending: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._sent_s:
            self._begun_s = time.perf_counter()
            self.on_playback_started(created_at=time.time())
        self._sent_s += frame.duration
        if not self._socket.closed:
            await self._socket.send_bytes(bytes(frame.data.cast("b")))

    def flush(self) -> None:
        super().flush()
        left_s = self._begun_s + self._sent_s - time.perf_counter()
        loop = asyncio.get_running_loop()
        self._ending = loop.call_later(max(0.0, left_s), self._finish, False)

    def clear_buffer(self) -> None:
        if self._sent_s and not self._socket.closed:
            self._stopping = asyncio.create_task(self._socket.send_str(STOP))
        self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._sent_s:
            played_s = min(self._sent_s, time.perf_counter() - self._begun_s)
            self._sent_s = 0.0
            self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


def open_session(told: parts.Told) -> AgentSession[None]:
    engines: dict[str, Any] = {
        "stt": SpeechToText(told),
        "llm": LanguageModel(told),
        "tts": TextToSpeech(),
        "vad": inference.VAD(),
        "aec_warmup_duration": None,
    }
    if TUNED:
        engines["vad"] = inference.VAD(min_silence_duration=0.25, min_speech_duration=0.05)
        engines["turn_handling"] = {
            "turn_detection": "vad",
            "endpointing": {"min_delay": 0.05, "max_delay": 0.3},
            "interruption": {"min_duration": 0.096},
            "preemptive_generation": {"enabled": True, "preemptive_tts": True},
        }
    return AgentSession(**engines)


async def converse(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    told = parts.Told()
    session = open_session(told)
    microphone = SocketInput()
    session.input.audio = microphone
    session.output.audio = Loudspeaker(socket)
    await session.start(Agent(instructions="Eres Penny."), record=False)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            frame = rtc.AudioFrame(message.data, RATE_HZ, 1, len(message.data) // 2)
            microphone.frames.send_nowait(frame)
        elif message.type is WSMsgType.TEXT:
            told.take(message.data)
    microphone.frames.close()
    await session.aclose()
    return socket


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", converse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
