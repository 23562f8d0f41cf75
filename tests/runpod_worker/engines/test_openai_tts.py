"""Speech behind an HTTP server, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from penny.errors import EngineError
from runpod_worker.engines.openai_tts import OpenAiTts
from runpod_worker.settings import OpenAiTtsSettings
from runpod_worker.stages import Voice
from tests.doubles.engines import tone
from tests.doubles.http import Handler, serving


pytestmark = pytest.mark.socket


Json = dict[str, Any]


def speaking(*chunks: bytes, seen: list[Json]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    return handle


async def synthesize(url: str, phrase: str, voice: Voice, **settings: Any) -> bytes:
    tts = OpenAiTts(OpenAiTtsSettings(base_url=f"{url}/v1", **settings))
    try:
        return b"".join([pcm async for pcm in tts.synthesize(phrase, voice)])
    finally:
        await tts.aclose()


async def test_audio_passes_whole_though_it_is_cut_within_a_sample() -> None:
    seen: list[Json] = []
    pcm = tone(200)
    handler = speaking(pcm[:101], pcm[101:3000], pcm[3000:], seen=seen)
    async with serving({"POST /v1/audio/speech": handler}) as url:
        heard = await synthesize(url, "Son 21 €.", Voice(name="em_alex", speed=1.1))

    assert heard == pcm
    assert seen[0] == {
        "model": "kokoro",
        "input": "Son veintiún euros.",
        "voice": "em_alex",
        "response_format": "pcm",
        "speed": 1.1,
    }


async def test_an_unknown_voice_is_the_default_and_another_rate_is_converted() -> None:
    seen: list[Json] = []
    handler = speaking(tone(200, rate_hz=16_000), seen=seen)
    async with serving({"POST /v1/audio/speech": handler}) as url:
        heard = await synthesize(url, "Hola.", Voice(name="marin"), rate_hz=16_000)

    assert seen[0]["voice"] == "ef_dora"
    assert len(heard) == pytest.approx(len(tone(200)), abs=200)


async def test_closing_the_iterator_stops_the_server() -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(tone(20))
                await asyncio.sleep(0.005)
        except (asyncio.CancelledError, ConnectionError):
            left.set()
            raise

    async with serving({"POST /v1/audio/speech": endless}) as url:
        tts = OpenAiTts(OpenAiTtsSettings(base_url=f"{url}/v1"))
        async with aclosing(tts.synthesize("Hola.", Voice())) as chunks:  # type: ignore[type-var]
            await anext(chunks)
        async with asyncio.timeout(60):
            await left.wait()
        await tts.aclose()


async def test_a_server_that_refuses_is_an_error_of_the_stage() -> None:
    async with serving({}) as url:
        with pytest.raises(EngineError) as caught:
            await synthesize(url, "Hola.", Voice())
    assert (caught.value.stage, caught.value.code) == ("tts", "tts_not_found")
