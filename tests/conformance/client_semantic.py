"""semantic-kernel: ``OpenAIRealtimeWebsocket`` or ``OpenAIRealtimeWebRTC`` as its samples have it.

In an environment of its own, which SEMANTIC_KERNEL names (README.md beside this file).
"""

from __future__ import annotations

import asyncio
import base64
import fractions
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack
from av import AudioFrame
from openai import AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import (
    ListenEvents,
    OpenAIRealtimeExecutionSettings,
    OpenAIRealtimeWebRTC,
    OpenAIRealtimeWebsocket,
    SendEvents,
)
from semantic_kernel.contents import AudioContent, TextContent
from semantic_kernel.contents.realtime_events import (
    RealtimeAudioEvent,
    RealtimeEvent,
    RealtimeTextEvent,
)
from semantic_kernel.functions import kernel_function

from tests.conformance import cases


LOUD = 500


class Microphone(MediaStreamTrack):
    """A track that says what it is given, and is silent in between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.waiting = bytearray()
        self._sent = 0
        self._began_s = time.monotonic()

    async def recv(self) -> AudioFrame:
        samples = cases.FRAME_BYTES // 2
        due_s = self._began_s + self._sent / cases.RATE_HZ
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        pcm = bytes(self.waiting[: cases.FRAME_BYTES]).ljust(cases.FRAME_BYTES, b"\0")
        del self.waiting[: cases.FRAME_BYTES]
        frame = AudioFrame.from_ndarray(
            np.frombuffer(pcm, np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = cases.RATE_HZ, self._sent
        frame.time_base = fractions.Fraction(1, cases.RATE_HZ)
        self._sent += samples
        return frame


class Talk:
    def __init__(self, client: Any, microphone: Microphone | None) -> None:
        self.client = client
        self.microphone = microphone
        self.text = ""
        self.sounded = 0
        self._events = client.receive()

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        async for event in self._events:
            assert event.service_type != ListenEvents.ERROR, event.service_event
            if isinstance(event, RealtimeTextEvent):
                self.text += event.text.text
            elif isinstance(event, RealtimeAudioEvent):
                self._hear(event)
            if wanted(event):
                return event
        raise AssertionError("the session ended")

    def _hear(self, event: RealtimeAudioEvent) -> None:
        """Count what is loud: a track sounds in silence too."""
        if self.microphone is not None:
            pcm = event.service_event.to_ndarray()
        else:
            pcm = np.frombuffer(base64.b64decode(event.service_event.delta), np.int16)
        self.sounded += int((np.abs(np.asarray(pcm, np.int32)) > LOUD).sum())

    async def until_type(self, kind: ListenEvents) -> Any:
        return (await self.until(lambda event: event.service_type == kind)).service_event

    async def say(self, pcm: bytes) -> None:
        if self.microphone is not None:
            self.microphone.waiting += pcm
            return

        async def send(frame: bytes) -> None:
            audio = AudioContent(data=frame, data_format="base64")
            await self.client.send(RealtimeAudioEvent(audio=audio))

        await cases.stream(pcm, send)

    async def write(self, text: str) -> None:
        item = TextContent(text=text)
        create = SendEvents.CONVERSATION_ITEM_CREATE
        await self.client.send(RealtimeTextEvent(service_type=create, text=item))
        await self.client.send(RealtimeEvent(service_type=SendEvents.RESPONSE_CREATE))


@asynccontextmanager
async def talking(penny: cases.Penny, **more: Any) -> AsyncIterator[Talk]:
    openai = AsyncOpenAI(api_key="any", base_url=f"{penny.http_url}/v1")
    options: dict[str, Any] = {"ai_model_id": "gpt-realtime", "client": openai}
    microphone = Microphone() if TRANSPORT == "webrtc" else None
    if microphone is not None:
        client: Any = OpenAIRealtimeWebRTC(audio_track=microphone, **options)
    else:
        client = OpenAIRealtimeWebsocket(**options)
    settings = OpenAIRealtimeExecutionSettings(
        instructions="Responde en español.",
        voice="alloy",
        turn_detection={"type": "server_vad"},
        function_choice_behavior=FunctionChoiceBehavior.Auto(),
    )
    async with client(settings=settings, create_response=False, **more):
        talk = Talk(client, microphone)
        async with aclosing(talk._events):
            await talk.until_type(ListenEvents.SESSION_UPDATED)
            yield talk


async def voice_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.say(penny.question)
        await talk.until_type(ListenEvents.RESPONSE_AUDIO_TRANSCRIPT_DONE)
        assert talk.text
        await talk.until(lambda _event: talk.sounded > cases.RATE_HZ // 4)


async def interruption(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.write(cases.QUESTION)
        await talk.until(lambda _event: talk.sounded > cases.RATE_HZ // 4)
        await talk.say(penny.interruption)
        await talk.until_type(ListenEvents.INPUT_AUDIO_BUFFER_SPEECH_STARTED)


async def function_call(penny: cases.Penny) -> None:
    asked: list[str] = []

    class Invoices:
        @kernel_function(name=cases.TOOL_NAME, description=cases.TOOL_DESCRIPTION)
        def look_up(self, id: str) -> str:
            asked.append(id)
            return cases.TOOL_OUTPUT

    kernel = Kernel()
    kernel.add_plugin(Invoices(), plugin_name="facturas")
    async with talking(penny, kernel=kernel) as talk:
        await talk.write(cases.TOOL_REQUEST)
        await talk.until_type(ListenEvents.RESPONSE_FUNCTION_CALL_ARGUMENTS_DONE)
        await talk.until_type(ListenEvents.RESPONSE_AUDIO_TRANSCRIPT_DONE)
        assert asked == ["F-2024-1234"]
        assert talk.text


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.write(cases.QUESTION)
        await talk.until_type(ListenEvents.RESPONSE_DONE)
        assert talk.text


TRANSPORT = sys.argv.pop(1)

if __name__ == "__main__":
    cases.main(
        "semantic-kernel" + (", WebRTC" if TRANSPORT == "webrtc" else ""),
        {
            "voice turn": voice_turn,
            "interruption": interruption,
            "function call": function_call,
            "text turn": text_turn,
        },
    )
