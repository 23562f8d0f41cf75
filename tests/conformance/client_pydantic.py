"""pydantic-ai: ``Agent.realtime(...).session()`` as its documentation has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import SpeechPart
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.realtime import RealtimeTurnCompleteEvent
from pydantic_ai.realtime.openai import OpenAIRealtimeModel

from tests.conformance import cases


@asynccontextmanager
async def talking(penny: cases.Penny, agent: Agent[None, str] | None = None) -> AsyncIterator[Any]:
    agent = agent or Agent(instructions="Responde en español.")
    provider = OpenAIProvider(base_url=f"{penny.http_url}/v1", api_key="any")
    model = OpenAIRealtimeModel("gpt-realtime", provider=provider)
    async with agent.realtime(model).session() as session:
        yield session


async def hear_reply(session: Any) -> list[Any]:
    """Events up to the end of the turn."""
    heard = []
    async for event in session:
        heard.append(event)
        if isinstance(event, RealtimeTurnCompleteEvent):
            return heard
    raise AssertionError("the session ended")


def spoken_by(session: Any, speaker: str) -> list[str]:
    parts = (part for message in session.all_messages() for part in message.parts)
    said = (part for part in parts if isinstance(part, SpeechPart) and part.speaker == speaker)
    return [part.transcript for part in said if part.transcript]


async def voice_turn(penny: cases.Penny) -> None:
    async with talking(penny) as session:
        reply = asyncio.create_task(hear_reply(session))
        await cases.stream(penny.question, session.send_audio)
        await reply
        while not (spoken_by(session, "user") and spoken_by(session, "assistant")):
            await asyncio.sleep(0.02)


async def function_call(penny: cases.Penny) -> None:
    asked: list[str] = []
    agent = Agent(instructions="Responde en español.")

    @agent.tool_plain(name=cases.TOOL_NAME)
    def look_up(id: str) -> str:
        """Consulta el estado de una factura."""
        asked.append(id)
        return cases.TOOL_OUTPUT

    async with talking(penny, agent) as session:
        await session.send(cases.TOOL_REQUEST)
        await hear_reply(session)
        assert asked == ["F-2024-1234"]
        assert spoken_by(session, "assistant")


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny) as session:
        await session.send(cases.QUESTION)
        await hear_reply(session)
        assert spoken_by(session, "assistant")


if __name__ == "__main__":
    cases.main(
        "pydantic-ai",
        {"voice turn": voice_turn, "function call": function_call, "text turn": text_turn},
    )
