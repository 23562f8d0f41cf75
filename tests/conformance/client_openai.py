"""The openai SDK: ``client.realtime.connect``."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from tests.conformance import cases


TOOL = {
    "type": "function",
    "name": cases.TOOL_NAME,
    "description": cases.TOOL_DESCRIPTION,
    "parameters": {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    },
}


HEARD_MS = 600


class Talk:
    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.seen: list[Any] = []

    async def until(self, kind: str) -> Any:
        while True:
            event = await self.connection.recv()
            self.seen.append(event)
            assert event.type != "error", event.error.message
            if event.type == kind:
                return event

    async def until_item(self, kind: str) -> Any:
        """An item of this type, once it is whole."""
        while (item := (await self.until("conversation.item.done")).item).type != kind:
            pass
        return item

    async def say(self, pcm: bytes) -> None:
        async def send(frame: bytes) -> None:
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())

        await cases.stream(pcm, send)

    async def write(self, text: str, role: str = "user") -> str:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": role, "content": content}
        await self.connection.conversation.item.create(item=item)
        return str((await self.until("conversation.item.done")).item.id)

    async def until_sounded(self, ms: int) -> str:
        """Wait until so much of an answer has come; its item."""
        sounded = 0
        while sounded < ms * cases.RATE_HZ * 2 // 1000:
            delta = await self.until("response.output_audio.delta")
            sounded += len(base64.b64decode(delta.delta))
        return str(delta.item_id)

    def deltas(self, kind: str) -> str:
        return "".join(event.delta for event in self.seen if event.type == kind)


@asynccontextmanager
async def talking(penny: cases.Penny, **session: Any) -> AsyncIterator[Talk]:
    client = AsyncOpenAI(api_key="any", base_url=f"{penny.http_url}/v1")
    async with client.realtime.connect(model="penny") as connection:
        talk = Talk(connection)
        created = await talk.until("session.created")
        assert created.session.model == "penny"
        transcription = {"model": "gpt-4o-mini-transcribe"}
        wanted = {"type": "realtime", "audio": {"input": {"transcription": transcription}}}
        await connection.session.update(session={**wanted, **session})
        await talk.until("session.updated")
        yield talk
    await client.close()


async def voice_turn(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.say(penny.question)
        done = await talk.until("response.done")
        assert done.response.status == "completed"
        assert done.response.usage.output_token_details.audio_tokens > 0
        assert done.response.output[0].content[0].transcript
        deltas = [e.delta for e in talk.seen if e.type == "response.output_audio.delta"]
        assert sum(len(base64.b64decode(delta)) for delta in deltas) > 2 * cases.RATE_HZ
        heard = "conversation.item.input_audio_transcription.completed"
        if heard not in {event.type for event in talk.seen}:
            await talk.until(heard)


async def interruption(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.say(penny.question)
        item_id = await talk.until_sounded(HEARD_MS)
        await talk.say(penny.interruption)
        await talk.until("input_audio_buffer.speech_started")
        item = talk.connection.conversation.item
        await item.truncate(item_id=item_id, content_index=0, audio_end_ms=HEARD_MS)
        assert (await talk.until("conversation.item.truncated")).audio_end_ms == HEARD_MS
        await item.retrieve(item_id=item_id)
        heard = (await talk.until("conversation.item.retrieved")).item.content[0].transcript
        said = "".join(
            event.delta
            for event in talk.seen
            if event.type == "response.output_audio_transcript.delta" and event.item_id == item_id
        )
        assert 0 < len(heard) < len(said)


async def function_call(penny: cases.Penny) -> None:
    async with talking(penny, tools=[TOOL], tool_choice="auto") as talk:
        await talk.write(cases.TOOL_REQUEST)
        await talk.connection.response.create()
        call = await talk.until("response.function_call_arguments.done")
        assert call.name == cases.TOOL_NAME
        assert "F-2024-1234" in call.arguments
        await talk.until("response.done")
        output = {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": cases.TOOL_OUTPUT,
        }
        await talk.connection.conversation.item.create(item=output)
        await talk.connection.response.create()
        done = await talk.until("response.done")
        assert done.response.output[0].content[0].transcript


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny, output_modalities=["text"]) as talk:
        await talk.write(cases.QUESTION)
        await talk.connection.response.create()
        done = await talk.until("response.done")
        assert done.response.output[0].content[0].text
        assert done.response.output[0].content[0].text == talk.deltas("response.output_text.delta")
        assert not talk.deltas("response.output_audio.delta")


async def system_item(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        await talk.write("El cliente se llama Juan.", role="system")
        await talk.write(cases.QUESTION)
        await talk.connection.response.create()
        assert (await talk.until("response.done")).response.status == "completed"


async def out_of_band(penny: cases.Penny) -> None:
    async with talking(penny) as talk:
        item_id = await talk.write(cases.QUESTION)
        await talk.connection.response.create()
        await talk.connection.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "metadata": {"topic": "aside"},
                "input": [{"type": "item_reference", "id": item_id}],
            }
        )
        ended = [(await talk.until("response.done")).response for _ in range(2)]
        (aside,) = [response for response in ended if response.metadata]
        assert aside.conversation_id is None
        assert aside.metadata == {"topic": "aside"}
        assert aside.output[0].content[0].text
        assert all(response.status == "completed" for response in ended)


async def mcp(penny: cases.Penny) -> None:
    """The server's tools are listed, a call waits for the client's word, and its output is told."""
    server = {**cases.MCP_SERVER, "server_url": penny.mcp_url, "require_approval": "always"}
    async with talking(penny, tools=[server]) as talk:
        listed = await talk.until_item("mcp_list_tools")
        assert [tool.name for tool in listed.tools] == [cases.MCP_TOOL]
        await talk.write(cases.MCP_REQUEST)
        await talk.connection.response.create()
        asked = await talk.until_item("mcp_approval_request")
        assert (asked.server_label, asked.name) == ("almacen", cases.MCP_TOOL)
        answer = {"type": "mcp_approval_response", "approval_request_id": asked.id}
        await talk.connection.conversation.item.create(item={**answer, "approve": True})
        call = await talk.until_item("mcp_call")
        assert "P-2024-1234" in call.arguments
        assert call.output == cases.MCP_OUTPUT
        await talk.connection.response.create()
        done = await talk.until("response.done")
        assert done.response.output[0].content[0].transcript


if __name__ == "__main__":
    cases.main(
        "openai",
        {
            "voice turn": voice_turn,
            "interruption": interruption,
            "function call": function_call,
            "text turn": text_turn,
            "system item": system_item,
            "out of band": out_of_band,
            "MCP": mcp,
        },
    )
