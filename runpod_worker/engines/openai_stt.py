"""STT behind any OpenAI-compatible transcription endpoint: vLLM's Whisper, speaches, LocalAI …"""

from __future__ import annotations

import io
import wave
from math import exp
from typing import Any

from penny.writable import mend_text
from runpod_worker.engines.http_server import HttpServer
from runpod_worker.engines.tokens import TokenCounter
from runpod_worker.engines.whole_utterance import WholeUtterance
from runpod_worker.settings import OpenAiSttSettings
from runpod_worker.stages import STT_RATE_HZ, EngineInfo, SttOptions, Transcript


Json = dict[str, Any]

MIN_LOG_PROB = -1.0
MAX_NO_SPEECH = 0.6
"""Whisper's own thresholds, applied where the server tells its numbers."""
_LANGUAGES = {"spanish": "es", "english": "en", "catalan": "ca", "portuguese": "pt"}
"""Some servers name the language in words."""


class OpenAiStt:
    """Stt behind an OpenAI-compatible transcription server.

    One server and one model; recorded utterances, tried at pauses.
    """

    def __init__(self, settings: OpenAiSttSettings, *, hot_words: tuple[str, ...] = ()) -> None:
        """``hot_words`` are for sessions that bring none of their own."""
        self.info = EngineInfo(name=f"openai-compatible {settings.model}", languages=("*",))
        self._settings = settings
        self._hot_words = hot_words
        self._counter = TokenCounter()
        self._server = HttpServer(
            "stt",
            settings.base_url,
            key_variable=settings.api_key_variable,
            connect_s=settings.connect_timeout_s,
        )

    def begin(self, options: SttOptions) -> WholeUtterance:
        return WholeUtterance(self, options)

    def count_tokens(self, text: str) -> int:
        return self._counter.count(text)

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """Send the audio as WAV. Raises EngineError."""
        settings = self._settings
        asked: Json = {"language": options.language} if options.language else {}
        hot_words = options.hot_words or self._hot_words
        prompt = " ".join(filter(None, (options.prompt, ", ".join(hot_words))))
        if prompt:  # the API has no hot words; a prompt that lists them does the same
            asked["prompt"] = prompt
        with self._server.errors():
            told: Any = await self._server.client.audio.transcriptions.create(
                file=("audio.wav", _write_wav(pcm), "audio/wav"),
                model=settings.model,
                response_format=settings.response_format,
                temperature=0,
                **asked,
            )
            return _read(told.to_dict(), options)

    async def aclose(self) -> None:
        await self._server.aclose()


def _write_wav(pcm: bytes) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(STT_RATE_HZ)
        file.writeframes(pcm)
    return written.getvalue()


def _read(told: Json, options: SttOptions) -> Transcript:
    """``json`` tells the text alone; ``verbose_json`` also how sure the model is."""
    text = mend_text(str(told["text"])).strip()
    language = str(told.get("language") or options.language or "")
    segments = told.get("segments") or []
    logprobs = [float(one["avg_logprob"]) for one in segments if "avg_logprob" in one]
    mean = sum(logprobs) / len(logprobs) if logprobs else None
    silent = bool(segments) and all(
        one.get("no_speech_prob", 0.0) > MAX_NO_SPEECH for one in segments
    )
    trusted = mean is None or (mean >= MIN_LOG_PROB and not silent)
    confidence = None if mean is None else exp(mean)
    return Transcript(
        text,
        _LANGUAGES.get(language.lower(), language),
        understood=bool(text) and trusted,
        confidence=confidence,
    )
