"""pipecat with the same engines of fixed latency. Prints its port.

    python -m tests.bench.pipeline.pipecat_server [tuned]     (in the peer's own environment)

Its defaults, or ``tuned``: what its documentation offers for short times. The turn ends with the
transcript once 0.3 s were quiet instead of by its turn model, speech starts after 96 ms instead
of 200, and it sends frames of 20 ms instead of 40.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from tests.bench.pipeline import parts


RATE_HZ = 16_000
TUNED = "tuned" in sys.argv[1:]


class RawSerializer(FrameSerializer):
    def __init__(self, told: parts.Told) -> None:
        super().__init__()
        self._told = told

    async def serialize(self, frame: Frame) -> bytes | None:
        return frame.audio if isinstance(frame, OutputAudioRawFrame) else None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        if isinstance(data, str):
            self._told.take(data)
            return None
        return InputAudioRawFrame(audio=bytes(data), sample_rate=RATE_HZ, num_channels=1)


class FixedStt(STTService):
    def __init__(self, told: parts.Told, **options: Any) -> None:
        super().__init__(**options)
        self._told = told
        self._recogniser = parts.Recogniser()
        self._waiting: asyncio.Task[None] | None = None

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        before = self._recogniser.due_s()
        self._told.feed(audio, RATE_HZ)
        self._recogniser.feed(audio, time.perf_counter())
        if self._recogniser.due_s() != before:
            if self._waiting is not None:
                self._waiting.cancel()
            self._waiting = asyncio.create_task(self._deliver())
        yield None

    async def _deliver(self) -> None:
        due_s = self._recogniser.due_s()
        assert due_s is not None
        await asyncio.sleep(due_s - time.perf_counter())
        self._recogniser.take()
        if text := self._told.text():
            frame = TranscriptionFrame(text, "caller", str(time.time()))
            frame.finalized = True
            await self.push_frame(frame)


class FixedLlm(LLMService):
    def __init__(self, told: parts.Told) -> None:
        super().__init__()
        self._told = told

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await asyncio.sleep(parts.LLM_FIRST_S)
        for index, token in enumerate(parts.tokens(self._told.answer)):
            if index:
                await asyncio.sleep(parts.LLM_GAP_S)
            await self.push_frame(LLMTextFrame(token))
        await self.push_frame(LLMFullResponseEndFrame())


class FixedTts(TTSService):
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(parts.TTS_FIRST_S)
        for _ in range(len(text) * parts.AUDIO_MS_PER_CHARACTER // 100):
            audio = parts.tone(100, RATE_HZ)
            yield TTSAudioRawFrame(audio, RATE_HZ, 1, context_id=context_id)


def _how_turns_end() -> LLMUserAggregatorParams:
    if not TUNED:
        return LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    return LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(params=VADParams(start_secs=0.096, stop_secs=0.2)),
        user_turn_strategies=UserTurnStrategies(
            stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.1)]
        ),
    )


async def converse(websocket: WebSocket) -> None:
    await websocket.accept()
    told = parts.Told()
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=RATE_HZ,
            audio_out_sample_rate=RATE_HZ,
            serializer=RawSerializer(told),
            allowed_origins=[],
            audio_out_10ms_chunks=2 if TUNED else 4,
        ),
    )
    context = LLMContext([{"role": "system", "content": "Eres Penny."}])
    pair = LLMContextAggregatorPair(context, user_params=_how_turns_end())
    pipeline = Pipeline(
        [
            transport.input(),
            FixedStt(told),
            pair.user(),
            FixedLlm(told),
            FixedTts(push_start_frame=True, push_stop_frames=True),
            transport.output(),
            pair.assistant(),
        ]
    )
    params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    await PipelineRunner(handle_sigint=False).run(PipelineTask(pipeline, params=params))


def main() -> None:
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    app = FastAPI()
    app.websocket("/")(converse)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", loop="uvloop"))
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
