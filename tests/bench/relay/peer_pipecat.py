"""pipecat as a relay: its FastAPI transport with raw audio, with or without its realtime service.

Best settings for latency: frames of 20 ms where the default is 40. Run in the bench's own
environment as ``python -m tests.bench.relay.peer_pipecat PORT [UPSTREAM_URL]``; without an
upstream its transport sends back what it got.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.workers.runner import WorkerRunner


RATE_HZ = 24_000


class RawAudio(FrameSerializer):
    """Binary messages are audio; texts are of no interest to it."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        return frame.audio if isinstance(frame, OutputAudioRawFrame) else None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        if isinstance(data, bytes):
            return InputAudioRawFrame(audio=data, sample_rate=RATE_HZ, num_channels=1)
        return None


class Passthrough(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            frame = TTSAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


def make_app(upstream: str | None) -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws")
    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        transport = FastAPIWebsocketTransport(
            websocket=socket,
            params=FastAPIWebsocketParams(
                serializer=RawAudio(),
                audio_in_enabled=True,
                audio_out_enabled=True,
                audio_out_10ms_chunks=2,
            ),
        )
        middle: FrameProcessor = Passthrough()
        if upstream:
            middle = OpenAIRealtimeLLMService(api_key="none", base_url=upstream)
        worker = PipelineWorker(
            Pipeline([transport.input(), middle, transport.output()]),
            params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
            cancel_on_idle_timeout=False,
        )

        @transport.event_handler("on_client_disconnected")
        async def leave(_transport: object, _client: object) -> None:
            await worker.cancel()

        await socket.send_text('{"type":"session_started"}')
        await WorkerRunner(handle_sigint=False).run(worker)

    return app


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(
        make_app(sys.argv[2] if len(sys.argv) > 2 else None),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        loop="uvloop",
        ws_max_size=2**24,
    )
