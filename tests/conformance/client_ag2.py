"""ag2: ``LiveAgent`` on OpenAI's ``RealTimeConfig``: by voice alone, as in its guide."""

from __future__ import annotations

import asyncio
import sys
from unittest.mock import MagicMock

from openai import AsyncOpenAI

from tests.conformance import cases


try:
    import sounddevice  # noqa: F401
except OSError:  # no PortAudio on this machine: ag2 imports it, and nothing here plays
    sys.modules["sounddevice"] = MagicMock()

from ag2.events import (
    ModelResponse,
    RecordedAudioEvent,
    SynthesizedAudioEvent,
    TranscriptionCompletedEvent,
)
from ag2.live import LiveAgent
from ag2.live.openai import InputConfig, RealTimeConfig


async def voice_turn(penny: cases.Penny) -> None:
    config = RealTimeConfig(
        "gpt-realtime",
        client=AsyncOpenAI(api_key="any", base_url=f"{penny.http_url}/v1"),
        input=InputConfig(transcription={"model": "gpt-4o-mini-transcribe"}),
    )
    agent = LiveAgent("assistant", "Responde en español.", config=config)
    async with agent.run() as context:

        async def send(frame: bytes) -> None:
            await context.send(RecordedAudioEvent(frame))

        await cases.stream(penny.question, send)
        wanted = {SynthesizedAudioEvent, TranscriptionCompletedEvent, ModelResponse}
        while not wanted <= {type(e) for e in await context.stream.history.get_events()}:
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    cases.main("ag2", {"voice turn": voice_turn})
