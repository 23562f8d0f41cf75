"""The OpenAI Agents SDK: ``RealtimeRunner``, pointed at Penny by its model config alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime.model_inputs import RealtimeModelSendRawMessage

from tests.conformance import cases


SETTINGS = {
    "model_name": "gpt-realtime-2.1",
    "audio": {
        "input": {
            "format": "pcm16",
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        },
        "output": {"format": "pcm16", "voice": "ash"},
    },
}
"""As the quickstart of the SDK has them."""


class Talk:
    def __init__(self, session: Any) -> None:
        self.session = session
        self.server_events: list[dict[str, Any]] = []
        self._events = aiter(session)

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        async for event in self._events:
            if event.type == "error":
                raise AssertionError(f"the SDK reports {event.error}")
            if event.type == "raw_model_event" and event.data.type == "raw_server_event":
                self.server_events.append(event.data.data)
            if wanted(event):
                return event
        raise AssertionError("the session ended")

    async def until_server(self, kind: str) -> dict[str, Any]:
        def is_it(event: Any) -> bool:
            raw = event.type == "raw_model_event" and event.data.type == "raw_server_event"
            return bool(raw and event.data.data["type"] == kind)

        return dict((await self.until(is_it)).data.data)

    async def send_raw(self, kind: str, **fields: Any) -> None:
        message = {"type": kind, "other_data": fields}
        await self.session.model.send_event(RealtimeModelSendRawMessage(message=message))


@asynccontextmanager
async def talking(penny: cases.Penny, tools: tuple[Any, ...] = ()) -> AsyncIterator[Talk]:
    agent = RealtimeAgent(name="Penny", instructions="Responde en español.", tools=list(tools))
    config = {"model_settings": SETTINGS, "tracing_disabled": True}
    runner = RealtimeRunner(agent, config=config)
    session = await runner.run(
        model_config={"url": f"{penny.ws_url}/v1/realtime?model=penny", "api_key": "any"}
    )
    async with session:
        yield Talk(session)


async def voice_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await cases.stream(penny.question, talk.session.send_audio)
        await talk.until(lambda event: event.type == "audio")
        await talk.until(lambda event: event.type == "audio_end")
        await talk.until(lambda event: event.type == "agent_end")
        heard = "conversation.item.input_audio_transcription.completed"
        if heard not in {event["type"] for event in talk.server_events}:
            await talk.until_server(heard)


async def interruption(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.session.send_message(cases.QUESTION)
        await talk.until(lambda event: event.type == "audio")
        # The SDK plays by its own clock, so the caller speaks in real time.
        await cases.stream(penny.interruption, talk.session.send_audio, speed=1.0)
        await talk.until(lambda event: event.type == "audio_interrupted")
        assert (await talk.until_server("conversation.item.truncated"))["audio_end_ms"] > 0


async def function_call(penny: cases.Penny) -> None:
    asked: list[str] = []

    @function_tool(name_override=cases.TOOL_NAME)
    def look_up(id: str) -> str:
        """Consulta el estado de una factura."""
        asked.append(id)
        return cases.TOOL_OUTPUT

    async with talking(penny, (look_up,)) as talk:
        await talk.session.send_message(cases.TOOL_REQUEST)
        ended = await talk.until(lambda event: event.type == "tool_end")
        assert ended.output == cases.TOOL_OUTPUT
        assert asked == ["F-2024-1234"]
        await talk.until(lambda event: event.type == "audio")
        await talk.until(lambda event: event.type == "agent_end")


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.session.send_message(cases.QUESTION)
        await talk.until(lambda event: event.type == "agent_end")
        done = talk.server_events[-1]
        said = [event for event in talk.server_events if event["type"].endswith("transcript.done")]
        assert said, done
        assert said[-1]["transcript"]


async def system_item(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        content = [{"type": "input_text", "text": "El cliente se llama Juan."}]
        item = {"type": "message", "role": "system", "content": content}
        await talk.send_raw("conversation.item.create", item=item)
        added = await talk.until_server("conversation.item.added")
        assert added["item"]["role"] == "system"
        await talk.session.send_message(cases.QUESTION)
        await talk.until(lambda event: event.type == "agent_end")


async def out_of_band(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        aside = {"conversation": "none", "output_modalities": ["text"], "metadata": {"a": "b"}}
        await talk.send_raw("response.create", response=aside)
        done = await talk.until_server("response.done")
        assert done["response"]["conversation_id"] is None
        assert done["response"]["metadata"] == {"a": "b"}


if __name__ == "__main__":
    cases.main(
        "openai-agents",
        {
            "voice turn": voice_turn,
            "interruption": interruption,
            "function call": function_call,
            "text turn": text_turn,
            "system item": system_item,
            "out of band": out_of_band,
        },
    )
