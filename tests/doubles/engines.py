"""Engines of fixed latency: what a bench and the worker's own tests put in the stages' places.

They keep the stages' contracts for real (streaming, cancellation, deadlines); only the thinking
is replaced by waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from runpod_worker.spoken_settings import SpokenSettings
from runpod_worker.stages import (
    STT_RATE_HZ,
    TTS_RATE_HZ,
    EngineInfo,
    LlmDelta,
    LlmRequest,
    LlmText,
    LlmToolCall,
    LlmUsage,
    SttOptions,
    Transcript,
    Voice,
)


NO_FILLER = SpokenSettings(filler_after_ms=0)
"""What Penny says because a machine is slow (fillers, and ``waiting`` of penny.yaml) is off where a
test does not ask for it: else a busy machine adds sound that nobody counted on."""


@dataclass
class FixedUtterance:
    stt: FixedStt
    fed_bytes: int = 0
    cancelled: bool = False

    def feed(self, pcm: bytes) -> None:
        self.fed_bytes += len(pcm)

    def pause(self) -> None:
        self.stt.pauses += 1

    def resume(self) -> None:
        self.stt.resumes += 1

    def partial(self) -> str:
        return ""

    async def finish(self) -> Transcript:
        await asyncio.sleep(self.stt.latency_s)
        self.stt.heard_ms.append(self.fed_bytes * 1000 // (2 * STT_RATE_HZ))
        text = self.stt.texts.pop(0) if self.stt.texts else self.stt.default
        return Transcript(text, self.stt.language, understood=bool(text))

    def cancel(self) -> None:
        self.cancelled = True


class FixedStt:
    """Answers ``texts`` in order, then ``default``, each after ``latency_s``."""

    def __init__(
        self, *texts: str, default: str = "hola", latency_s: float = 0.0, language: str = "es"
    ) -> None:
        self.info = EngineInfo("fixed-stt", ("es", "en"))
        self.texts = list(texts)
        self.default = default
        self.latency_s = latency_s
        self.language = language
        self.heard_ms: list[int] = []
        self.pauses = self.resumes = 0
        self.options: list[SttOptions] = []

    def begin(self, options: SttOptions) -> FixedUtterance:
        self.options.append(options)
        return FixedUtterance(self)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def aclose(self) -> None:
        return None


class FixedLlm:
    """Says ``answer`` word by word: ``first_s`` to the first, ``gap_s`` between the others."""

    def __init__(
        self,
        answer: str = "Su factura vence el quince de enero. Son mil quinientos euros.",
        *,
        first_s: float = 0.0,
        gap_s: float = 0.0,
        call: LlmToolCall | None = None,
    ) -> None:
        self.info = EngineInfo("fixed-llm", ("es", "en"))
        self.answer = answer
        self.first_s = first_s
        self.gap_s = gap_s
        self.call = call
        self.requests: list[LlmRequest] = []
        self.aborted = 0

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.requests.append(request)
        finished = False
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self.first_s
        try:
            await asyncio.sleep(self.first_s)
            if self.call is not None and request.tools:
                yield self.call
                finished = True
                yield LlmUsage(10, 0, 5, "tool")
                return
            for index, word in enumerate(self.answer.split(" ")):
                if index:
                    # By the clock: a model's rate does not fall with how late its reader wakes.
                    due_s += self.gap_s
                    await asyncio.sleep(max(0.0, due_s - loop.time()))
                yield LlmText(word if index == 0 else f" {word}")
            finished = True
            yield LlmUsage(10, 0, len(self.answer.split()))
        finally:
            self.aborted += not finished

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def prime(self, request: LlmRequest) -> None:
        return None

    async def aclose(self) -> None:
        return None


class FixedTts:
    """A tone as long as the phrase would take, its first audio after ``first_s``."""

    MS_PER_CHARACTER = 60

    def __init__(self, *, first_s: float = 0.0) -> None:
        self.info = EngineInfo("fixed-tts", ("es", "en"))
        self.first_s = first_s
        self.phrases: list[str] = []
        self.stopped = 0

    def voices(self) -> Sequence[str]:
        return ("tone",)

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        self.phrases.append(phrase)
        finished = False
        try:
            await asyncio.sleep(self.first_s)
            for start_ms in range(0, len(phrase) * self.MS_PER_CHARACTER, 100):
                yield tone(100, start_ms)
            finished = True
        finally:
            self.stopped += not finished

    async def aclose(self) -> None:
        return None


def tone(ms: int, start_ms: int = 0, hz: float = 220.0, rate_hz: int = TTS_RATE_HZ) -> bytes:
    """A quiet sine as PCM16."""
    t = np.arange(ms * rate_hz // 1000) / rate_hz + start_ms / 1000
    return (np.sin(2 * np.pi * hz * t) * 6000).astype("<i2").tobytes()
