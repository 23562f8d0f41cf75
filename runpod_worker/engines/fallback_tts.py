"""A natural voice with the embedded one behind it: a TTS that fails does not leave silence.

The phrase that failed is spoken by the fallback from the word where the audio broke off, and a
breaker keeps later phrases from waiting for a dead engine.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import structlog

from penny.aio.breaker import CircuitBreaker
from penny.errors import EngineError
from runpod_worker.answering import closable
from runpod_worker.reading import deadlined
from runpod_worker.stages import TTS_RATE_HZ, EngineInfo, Tts, Voice


log = structlog.get_logger()

MS_PER_CHARACTER = 65
"""Spanish at a talking pace is about 15 characters a second: how much of a phrase was spoken."""
MAX_FAILURES, WINDOW, REST_S = 2, 5, 10.0
"""Two failures of five phrases in a row send the next ones to the fallback for so long."""
BYTES_PER_MS = TTS_RATE_HZ * 2 // 1000


class FallbackTts:
    """Tts with another one behind it.

    Speaks with ``first``; with ``second`` where ``first`` fails or stands still.

    Args:
        limit_s: how long ``first`` may take to a phrase's next piece before ``second`` takes it.
    """

    def __init__(
        self,
        first: Tts,
        second: Tts,
        *,
        limit_s: float,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.info = EngineInfo(
            name=f"{first.info.name} (or {second.info.name})",
            languages=first.info.languages,
            notice=first.info.notice,
            first_phrase_chars=first.info.first_phrase_chars,
        )
        self._first = first
        self._second = second
        self._limit_s = limit_s
        self.breaker = breaker or CircuitBreaker(MAX_FAILURES, REST_S, window=WINDOW)
        self.fallbacks = 0
        """Phrases that the second engine spoke, whole or from the break on."""

    def voices(self) -> Sequence[str]:
        return self._first.voices()

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        """Stream PCM16 at 24 kHz. Raises EngineError if both engines fail."""
        said = 0
        # A trial is a phrase like any other: it costs its caller one time limit at most.
        if self.breaker.allows(time.monotonic()):
            stream = self._first.synthesize(phrase, voice)
            succeeded: bool | None = None
            try:
                async with aclosing(
                    deadlined(stream, self._limit_s, self._limit_s, "tts")
                ) as chunks:
                    async for pcm in chunks:
                        said += len(pcm)
                        yield pcm
                succeeded = True
                return
            except EngineError as error:
                succeeded = False
                log.exception("tts_failed", code=error.code, engine=self._first.info.name)
            finally:
                # An interrupted phrase that had begun to sound speaks for the engine; one that had
                # not, within its time, tells nothing of it.
                if succeeded or (succeeded is None and said):
                    self.breaker.succeeded()
                elif succeeded is None:
                    self.breaker.abandoned()
                else:
                    self.breaker.failed(time.monotonic())
        self.fallbacks += 1
        async with aclosing(
            closable(self._second.synthesize(_unsaid(phrase, said), voice))
        ) as rest:
            async for pcm in rest:
                yield pcm

    async def aclose(self) -> None:
        await self._first.aclose()
        await self._second.aclose()


def _unsaid(phrase: str, said_bytes: int) -> str:
    """What is left of a phrase after so much audio, from the start of a word."""
    at = said_bytes // BYTES_PER_MS // MS_PER_CHARACTER
    if at == 0:
        return phrase
    space = phrase.find(" ", at)
    return phrase[space:] if space >= 0 else ""
