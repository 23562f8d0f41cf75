"""agents-js over WebRTC, with its defaults, in a headless Chromium on a page of another origin.

In the environment of the tests, whose playwright drives the browser. A recording named by
PENNY_SPEECH (WAV) takes the place of the question as the microphone.
"""

from __future__ import annotations

import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from playwright.async_api import Page

from tests.conformance import cases
from tests.doubles.chromium import launch_chromium


NODE = Path(__file__).parent / "node"
SDK = NODE / "node_modules/@openai/agents-realtime/dist/bundle"
QUIET = 0.02
"""Of full scale: the loudspeaker is louder while somebody speaks."""


@asynccontextmanager
async def serving_page() -> AsyncIterator[str]:
    """The address of a page of its own, as whoever builds one would serve it."""
    app = web.Application()
    app.router.add_static("/sdk", SDK)
    app.router.add_static("/", NODE)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/webrtc.html"
    finally:
        await runner.cleanup()


def write_microphone(path: Path, pcm: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(cases.RATE_HZ)
        file.writeframes(pcm)
    return path


class Talk:
    def __init__(self, page: Page) -> None:
        self.page = page

    async def until(self, kind: str, having: str = "type") -> Any:
        """The first event of a kind with something in this field."""
        passes = f"type === '{kind}' && event.{having}"
        wanted = f"() => events.find((event) => event.type === 'error' || (event.{passes}))"
        event = await (await self.page.wait_for_function(wanted, timeout=0)).json_value()
        assert event["type"] == kind, event
        return event

    async def write(self, text: str) -> None:
        await self.page.evaluate("(text) => session.sendMessage(text)", text)

    async def hear(self) -> None:
        """Wait until the loudspeaker has sounded."""
        await self.page.wait_for_function(f"() => loudest > {QUIET}", timeout=0)


@asynccontextmanager
async def talking(
    penny: cases.Penny, microphone: Path, tool: dict[str, Any] | None = None
) -> AsyncIterator[Talk]:
    minted = {"session": {"type": "realtime", "model": "gpt-realtime-2.1"}}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{penny.http_url}/v1/realtime/client_secrets", json=minted) as answer,
    ):
        key = (await answer.json())["value"]
    options = {
        "url": f"{penny.http_url}/v1/realtime/calls",
        "key": key,
        "tool": tool,
        "instructions": "Responde en español.",
    }
    desktop = "document-user-activation-required"
    async with serving_page() as address, launch_chromium(microphone, desktop) as browser:
        page = await browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(address)
        await page.wait_for_function("() => window.prepare")
        await page.evaluate("(options) => prepare(options)", options)
        await page.get_by_role("button").click()
        talk = Talk(page)
        await talk.until("connected")
        yield talk
        assert not faults, faults[0]
        await page.evaluate("session.close()")


async def voice_turn(penny: cases.Penny) -> None:
    recording = os.environ.get("PENNY_SPEECH", "")
    # Over and over, since it begins before the call stands.
    pcm = bytes(2 * cases.RATE_HZ * 3) + penny.question + bytes(2 * cases.RATE_HZ * 7)
    spoken = write_microphone(penny.folder / "microphone.wav", pcm)
    async with talking(penny, Path(f"{recording or spoken}")) as talk:
        kind = "conversation.item.input_audio_transcription.completed"
        if recording:
            await talk.until(kind)  # which the embedded ears need not understand
        else:
            cases.check_words((await talk.until(kind, "transcript"))["transcript"])
        await talk.hear()
        await talk.until("output_audio_buffer.started")
        assert (await talk.until("response.output_audio_transcript.done"))["transcript"]


async def interruption(penny: cases.Penny) -> None:
    """The microphone speaks over and over, so also into an answer."""
    pcm = bytes(2 * cases.RATE_HZ * 5) + penny.interruption
    async with talking(penny, write_microphone(penny.folder / "later.wav", pcm)) as talk:
        await talk.write(cases.QUESTION)
        await talk.hear()
        await talk.until("output_audio_buffer.cleared")
        assert (await talk.until("conversation.item.truncated"))["audio_end_ms"] > 0


async def text_turn(penny: cases.Penny) -> None:
    async with talking(penny, write_quiet(penny)) as talk:
        await talk.write(cases.QUESTION)
        await talk.until("agent_end")
        assert (await talk.until("response.output_audio_transcript.done"))["transcript"]
        await talk.hear()


async def function_call(penny: cases.Penny) -> None:
    properties = {"id": {"type": "string"}}
    tool = {
        "name": cases.TOOL_NAME,
        "description": cases.TOOL_DESCRIPTION,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": ["id"],
            "additionalProperties": True,
        },
        "output": cases.TOOL_OUTPUT,
    }
    async with talking(penny, write_quiet(penny), tool) as talk:
        await talk.write(cases.TOOL_REQUEST)
        assert (await talk.until("asked"))["id"] == "F-2024-1234"
        await talk.until("agent_tool_end")
        await talk.hear()


async def keys(penny: cases.Penny) -> None:
    async with talking(penny, write_quiet(penny)) as talk:
        await talk.page.evaluate("(keys) => press(keys)", cases.KEYS)
        kind = "input_audio_buffer.dtmf_event_received"
        told = f"events.filter(({{ type }}) => type === '{kind}').map(({{ event }}) => event)"
        await talk.page.wait_for_function(f"() => {told}.join('') === '{cases.KEYS}'", timeout=0)


def write_quiet(penny: cases.Penny) -> Path:
    return write_microphone(penny.folder / "quiet.wav", bytes(2 * cases.RATE_HZ * 10))


if __name__ == "__main__":
    cases.main(
        "agents-js, WebRTC",
        {
            "voice turn": voice_turn,
            "interruption": interruption,
            "function call": function_call,
            "text turn": text_turn,
            "keys": keys,
        },
    )
