"""LiveKit's ``openai.realtime.RealtimeModel``, without a room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import RunContext, function_tool, llm
from livekit.agents.stt import SpeechEventType
from livekit.agents.utils import http_context
from livekit.plugins import openai

from tests.conformance import cases


class Talk:
    def __init__(self, session: Any) -> None:
        self.session = session
        self.server_events: list[dict[str, Any]] = []
        self.transcripts: asyncio.Queue[str] = asyncio.Queue()
        self.generations: asyncio.Queue[Any] = asyncio.Queue()
        self.started = asyncio.Event()
        self.errors: list[str] = []
        session.on("openai_server_event_received", self.server_events.append)
        session.on("generation_created", self.generations.put_nowait)
        session.on("input_speech_started", lambda _: self.started.set())
        session.on("error", lambda event: self.errors.append(str(event)))
        session.on("input_audio_transcription_completed", self._take_transcript)

    def _take_transcript(self, event: Any) -> None:
        if event.is_final:
            self.transcripts.put_nowait(event.transcript)

    async def say(self, pcm: bytes) -> None:
        async def send(frame: bytes) -> None:
            self.session.push_audio(rtc.AudioFrame(frame, cases.RATE_HZ, 1, len(frame) // 2))

        await cases.stream(pcm, send)

    async def write(self, text: str, role: str = "user") -> None:
        context = self.session.chat_ctx.copy()
        context.add_message(role=role, content=text)
        await self.session.update_chat_ctx(context)

    async def until_server(self, kind: str) -> dict[str, Any]:
        while True:
            for event in self.server_events:
                if event["type"] == kind:
                    return event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def talking(penny: cases.Penny) -> AsyncIterator[Talk]:
    async with aiohttp.ClientSession() as http:
        model = openai.realtime.RealtimeModel(
            model="penny", base_url=f"{penny.http_url}/v1", api_key="any", http_session=http
        )
        session = model.session()
        talk = Talk(session)
        try:
            yield talk
            assert not talk.errors, talk.errors[0]
        finally:
            await session.aclose()


async def collect(generation: Any) -> tuple[str, int]:
    """Words and audio samples of every message of a generation."""
    text, samples = "", 0
    async for message in generation.message_stream:
        async for words in message.text_stream:
            text += words
        async for frame in message.audio_stream:
            samples += frame.samples_per_channel
    return text, samples


async def voice_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.say(penny.question)
        generation = await talk.generations.get()
        assert not generation.user_initiated
        text, samples = await collect(generation)
        assert text
        assert samples > cases.RATE_HZ
        cases.check_words(await talk.transcripts.get())


async def interruption(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        generation = await talk.session.generate_reply(instructions="Saluda.")
        async for message in generation.message_stream:
            async for _frame in message.audio_stream:
                break
            break
        await talk.say(penny.interruption)
        await talk.started.wait()
        talk.session.interrupt()
        talk.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=400)
        cut = await talk.until_server("conversation.item.truncated")
        assert cut["item_id"] == message.message_id
        assert 0 < cut["audio_end_ms"] <= 400


async def function_call(penny: cases.Penny) -> None:
    @function_tool(name=cases.TOOL_NAME)
    async def look_up(context: RunContext, id: str) -> str:
        """Consulta el estado de una factura."""
        raise AssertionError("nobody runs it here")

    async with talking(penny) as talk:
        await talk.session.update_tools([look_up])
        await talk.write(cases.TOOL_REQUEST)
        generation = await talk.session.generate_reply(tool_choice="required")
        calls = [call async for call in generation.function_stream]
        assert [call.name for call in calls] == [cases.TOOL_NAME]
        assert "F-2024-1234" in calls[0].arguments
        context = talk.session.chat_ctx.copy()
        context.items.append(
            llm.FunctionCallOutput(
                call_id=calls[0].call_id, output=cases.TOOL_OUTPUT, is_error=False
            )
        )
        await talk.session.update_chat_ctx(context)
        text, _ = await collect(await talk.session.generate_reply(tool_choice="none"))
        assert text


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.write(cases.QUESTION)
        text, _ = await collect(await talk.session.generate_reply())
        assert text
        roles = [item.role for item in talk.session.chat_ctx.items if item.type == "message"]
        assert roles == ["user", "assistant"]


async def system_item(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.write("El cliente se llama Juan.", role="system")
        added = await talk.until_server("conversation.item.added")
        assert added["item"]["role"] == "system"
        await talk.write(cases.QUESTION)
        text, _ = await collect(await talk.session.generate_reply())
        assert text


async def transcription(penny: cases.Penny) -> None:
    """LiveKit's realtime STT, as a pipeline of it would use it."""
    stt = openai.STT(
        model="gpt-4o-mini-transcribe",
        language="es",
        use_realtime=True,
        base_url=f"{penny.http_url}/v1",
        api_key="any",
    )
    async with http_context.open(), stt.stream() as heard:

        async def send(frame: bytes) -> None:
            heard.push_frame(rtc.AudioFrame(frame, cases.RATE_HZ, 1, len(frame) // 2))

        await cases.stream(penny.question, send)
        async for event in heard:
            if event.type is SpeechEventType.FINAL_TRANSCRIPT:
                cases.check_words(event.alternatives[0].text)
                break
    await stt.aclose()


if __name__ == "__main__":
    cases.main(
        "livekit",
        {
            "voice turn": voice_turn,
            "interruption": interruption,
            "function call": function_call,
            "text turn": text_turn,
            "system item": system_item,
            "transcription": transcription,
        },
    )
