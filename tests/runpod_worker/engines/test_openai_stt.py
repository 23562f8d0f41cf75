"""Transcription behind an HTTP server, over real sockets."""

from __future__ import annotations

import io
import wave
from typing import Any

import pytest
from aiohttp import web

from penny.errors import EngineError
from runpod_worker.engines.openai_stt import OpenAiStt
from runpod_worker.settings import OpenAiSttSettings
from runpod_worker.stages import SttOptions, Transcript
from tests.doubles.http import serving


pytestmark = pytest.mark.socket


Json = dict[str, Any]

PCM = b"\1\0" * 16_000


async def transcribe(
    told: object, form: Json, options: SttOptions, hot_words: tuple[str, ...] = ()
) -> Transcript:
    async def handle(request: web.Request) -> web.StreamResponse:
        posted = await request.post()
        for name, value in posted.items():
            form[name] = value.file.read() if isinstance(value, web.FileField) else value
        form["granularities"] = posted.getall("timestamp_granularities[]", [])
        return web.json_response(told)

    async with serving({"POST /v1/audio/transcriptions": handle}) as url:
        settings = OpenAiSttSettings(base_url=f"{url}/v1", model="whisper-large-v3")
        stt = OpenAiStt(settings, hot_words=hot_words)
        utterance = stt.begin(options)
        utterance.feed(PCM)
        try:
            return await utterance.finish()
        finally:
            await stt.aclose()


async def test_the_audio_goes_as_wav_with_language_and_hot_words() -> None:
    form: Json = {}
    told = {
        "text": " ¿Cuánto debo? ",
        "language": "spanish",
        "segments": [{"avg_logprob": -0.1, "no_speech_prob": 0.01}],
        "words": [
            {"word": "¿Cuánto", "start": 0.0, "end": 0.42},
            {"word": "debo?", "start": 0.42, "end": 0.8, "probability": 0.61},
        ],
    }

    transcript = await transcribe(told, form, SttOptions("es", "Hola.", ("kilovatio", "peaje")))

    with wave.open(io.BytesIO(form["file"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, 16_000)
    assert (form["model"], form["language"]) == ("whisper-large-v3", "es")
    assert form["prompt"] == "Hola. kilovatio, peaje"
    assert (transcript.text, transcript.language, transcript.understood) == (
        "¿Cuánto debo?",
        "es",
        True,
    )
    assert transcript.confidence == pytest.approx(0.905, abs=0.001)
    assert form["granularities"] == []


@pytest.mark.parametrize(("own", "prompt"), [((), "Penny, peaje"), (("kilovatio",), "kilovatio")])
async def test_a_session_without_hot_words_gets_the_kbs(own: tuple[str, ...], prompt: str) -> None:
    form: Json = {}
    await transcribe({"text": "Hola"}, form, SttOptions("es", "", own), ("Penny", "peaje"))
    assert form["prompt"] == prompt


async def test_a_server_that_tells_the_text_alone_is_believed() -> None:
    form: Json = {}
    transcript = await transcribe({"text": "hola"}, form, SttOptions())

    assert transcript == Transcript("hola", "", understood=True)
    assert "language" not in form


@pytest.mark.parametrize(
    "segment",
    [{"avg_logprob": -1.4, "no_speech_prob": 0.1}, {"avg_logprob": -0.2, "no_speech_prob": 0.9}],
)
async def test_words_the_model_itself_doubts_are_not_understood(segment: Json) -> None:
    told = {"text": "Suscríbete al canal", "language": "es", "segments": [segment]}

    assert not (await transcribe(told, {}, SttOptions())).understood


async def test_what_is_no_transcript_is_an_error() -> None:
    with pytest.raises(EngineError) as caught:
        await transcribe(["x"], {}, SttOptions())
    assert caught.value.code == "stt_malformed"
