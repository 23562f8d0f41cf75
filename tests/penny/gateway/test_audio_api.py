"""``/v1/audio/…`` as OpenAI's own client asks, through a gateway and a worker's real socket."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest
import soundfile

from penny.errors import EngineError
from runpod_worker.stages import Voice
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.house import make_engines, running_penny
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

Json = dict[str, Any]


def client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def sound(pcm16: bytes, kind: str = "WAV", rate_hz: int = 24_000) -> tuple[str, bytes]:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm16, "<i2"), rate_hz, format=kind)
    return f"a.{kind.lower()}", file.getvalue()


async def test_a_file_is_heard_in_windows_and_told_in_the_form_asked_for() -> None:
    stt = FixedStt("Buenos días.", "Adiós.")
    long = speak("Buenos días") + silence(20_000) + speak("Adiós") + silence(9000)
    async with running_penny(make_engines(stt)) as url, client(url) as asked:
        heard = await asked.audio.transcriptions.create(
            file=sound(long, "FLAC"),
            model="whisper-1",
            language="es",
            response_format="verbose_json",
            timestamp_granularities=["segment"],
        )
    assert heard.text == "Buenos días. Adiós."
    assert heard.segments is not None
    assert len(heard.segments) == 2
    assert heard.duration == pytest.approx(len(long) / 48_000, abs=0.01)
    assert sum(stt.heard_ms) == pytest.approx(len(long) / 48, rel=0.02)
    assert {each.language for each in stt.options} == {"es"}


async def test_words_come_as_they_are_known() -> None:
    stt = FixedStt("Buenos días.", "Adiós.")
    long = speak("Buenos días") + silence(29_000)
    async with running_penny(make_engines(stt)) as url, client(url) as asked:
        stream = await asked.audio.transcriptions.create(
            file=sound(long, "MP3"), model="gpt-4o-transcribe", stream=True
        )
        events = [event async for event in stream]
    assert [event.delta for event in events[:-1] if event.type == "transcript.text.delta"] == [
        "Buenos días.",
        " Adiós.",
    ]
    last = events[-1]
    assert last.type == "transcript.text.done"
    assert last.text == "Buenos días. Adiós."


@pytest.mark.parametrize("kind", ["mp3", "opus", "flac", "wav", "pcm"])
async def test_a_text_is_said_word_for_word(kind: Any) -> None:
    tts = FixedTts()
    text = "La factura vence el lunes. " * 30
    async with running_penny(make_engines(tts=tts)) as url, client(url) as asked:
        said = await asked.audio.speech.create(
            model="tts-1", voice="coral", input=text, response_format=kind
        )
    if kind == "pcm":
        length_s = len(said.content) / 48_000
    else:
        samples, rate_hz = soundfile.read(io.BytesIO(said.content))
        length_s = len(samples) / rate_hz
    assert "".join(tts.phrases).replace(" ", "") == text.replace(" ", "")
    assert length_s == pytest.approx(sum(map(len, tts.phrases)) * 0.06, rel=0.1)


async def test_sound_comes_as_events_where_asked() -> None:
    async with running_penny(make_engines()) as url, client(url) as asked:
        said = await asked.audio.speech.create(
            model="m", voice="coral", input="Hola.", response_format="pcm", stream_format="sse"
        )
    assert said.content.count(b"speech.audio.delta") >= 1
    assert said.content.rstrip().endswith(b'data: {"type":"speech.audio.done"}')


@pytest.mark.parametrize(
    ("content", "extra", "field"),
    [
        (b"no sound at all", {}, "file"),
        (b"", {}, "file"),
        (sound(silence(500))[1], {"temperature": 0.5}, "temperature"),
        (sound(silence(500))[1], {"include": ["logprobs"]}, "include"),
        (
            sound(silence(500))[1],
            {"response_format": "verbose_json", "timestamp_granularities": ["word"]},
            "timestamp_granularities",
        ),
    ],
)
async def test_what_cannot_be_heard_is_refused_by_name(
    content: bytes, extra: Json, field: str
) -> None:
    async with running_penny(make_engines()) as url, client(url) as asked:
        with pytest.raises(openai.BadRequestError) as refused:
            await asked.audio.transcriptions.create(
                file=("a.wav", content), model="whisper-1", **extra
            )
    assert refused.value.param == field


async def test_what_cannot_be_said_is_refused_by_name() -> None:
    async with running_penny(make_engines()) as url, client(url) as asked:
        wrong: list[tuple[Json, str]] = [
            ({"input": ""}, "input"),
            ({"input": "a" * 4097}, "input"),
            ({"input": "a", "speed": 3.0}, "speed"),
            ({"input": "a", "response_format": "aac"}, "response_format"),
            ({"input": "a", "stream_format": "sse"}, "response_format"),
        ]
        for body, field in wrong:
            with pytest.raises(openai.BadRequestError) as refused:
                await asked.audio.speech.create(model="m", voice="coral", **body)
            assert refused.value.param == field, body


async def read_into(got: bytearray, answer: aiohttp.ClientResponse) -> None:
    async for piece in answer.content.iter_any():
        got += piece


class FailingTts(FixedTts):
    """A voice that ends with its second phrase."""

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        if self.phrases:
            raise EngineError("the voice is gone", stage="tts")
        async for piece in super().synthesize(phrase, voice):
            yield piece


async def test_a_voice_that_fails_in_the_middle_cuts_the_answer_off() -> None:
    body = {"model": "m", "input": "La factura vence el lunes. " * 40, "response_format": "pcm"}
    got = bytearray()
    async with (
        running_penny(make_engines(tts=FailingTts())) as url,
        aiohttp.ClientSession() as http,
        http.post(f"{url}/v1/audio/speech", json=body) as answer,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_into(got, answer)
    assert got
    assert b"HTTP/1.1" not in got
