"""A voice that fails in the middle, and the one that takes over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from penny.aio.breaker import CircuitBreaker
from penny.errors import EngineError
from runpod_worker.engines.fallback_tts import BYTES_PER_MS, MS_PER_CHARACTER, FallbackTts
from runpod_worker.stages import Voice
from tests.doubles.engines import FixedTts, tone


pytestmark = pytest.mark.pure


PHRASE = "Su factura de enero vence el día quince."


class FailingTts(FixedTts):
    """Speaks ``good_ms`` and fails, as long as ``failing``."""

    def __init__(self, good_ms: int = 0) -> None:
        super().__init__()
        self.good_ms = good_ms
        self.failing = True

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        if not self.failing:
            async for pcm in super().synthesize(phrase, voice):
                yield pcm
            return
        self.phrases.append(phrase)
        for _ in range(self.good_ms // 100):
            yield tone(100)
        raise EngineError("CUDA", stage="tts")


async def speak(tts: FallbackTts, phrase: str = PHRASE) -> int:
    return sum([len(pcm) async for pcm in tts.synthesize(phrase, Voice())]) // BYTES_PER_MS


async def test_a_healthy_engine_speaks_alone() -> None:
    second = FixedTts()
    tts = FallbackTts(FixedTts(), second, limit_s=1)

    assert await speak(tts) == pytest.approx(len(PHRASE) * FixedTts.MS_PER_CHARACTER, abs=100)
    assert (second.phrases, tts.fallbacks) == ([], 0)


async def test_a_phrase_that_never_sounded_is_spoken_whole_by_the_other() -> None:
    second = FixedTts()
    tts = FallbackTts(FailingTts(), second, limit_s=1)
    await speak(tts)

    assert second.phrases == [PHRASE]


async def test_a_phrase_that_broke_off_goes_on_at_the_next_word() -> None:
    second = FixedTts()
    tts = FallbackTts(FailingTts(good_ms=12 * MS_PER_CHARACTER), second, limit_s=1)
    await speak(tts)

    assert second.phrases == [" de enero vence el día quince."]


async def test_an_engine_too_slow_to_begin_is_not_waited_for() -> None:
    slow, second = FixedTts(first_s=60), FixedTts()
    tts = FallbackTts(slow, second, limit_s=0.02)
    await speak(tts)

    assert second.phrases == [PHRASE]
    assert slow.stopped == 1


async def test_an_engine_that_stands_still_in_the_middle_is_not_waited_for() -> None:
    class Hanging(FixedTts):
        async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
            yield tone(10 * MS_PER_CHARACTER)
            await asyncio.sleep(60)

    second = FixedTts()
    await speak(FallbackTts(Hanging(), second, limit_s=0.02))
    assert second.phrases == [" de enero vence el día quince."]


async def test_after_two_failures_the_dead_engine_is_left_alone_and_later_tried_again() -> None:
    first, second = FailingTts(), FixedTts()
    tts = FallbackTts(first, second, limit_s=1, breaker=CircuitBreaker(2, 0.05, window=5))
    for _ in range(3):
        await speak(tts)
    assert (len(first.phrases), len(second.phrases), tts.fallbacks) == (2, 3, 3)
    first.failing = False
    async with asyncio.timeout(60):
        while tts.breaker.state(time.monotonic()) != "closed":
            await speak(tts)
    await speak(tts)
    assert tts.breaker.opened == 1


async def test_an_interruption_stops_the_engine_and_is_no_failure() -> None:
    first = FixedTts()
    tts = FallbackTts(first, FixedTts(), limit_s=1)
    for _ in range(5):
        async with aclosing(tts.synthesize(PHRASE, Voice())) as chunks:  # type: ignore[type-var]
            await anext(chunks)

    assert first.stopped == 5
    assert tts.breaker.state(0.0) == "closed"


async def test_phrases_interrupted_before_they_sound_keep_the_natural_voice() -> None:
    first = FixedTts(first_s=3600)
    tts = FallbackTts(first, FixedTts(), limit_s=60)
    for number in range(5):
        speaking = asyncio.ensure_future(anext(tts.synthesize(PHRASE, Voice())))
        while len(first.phrases) == number:
            await asyncio.sleep(0)
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)

    assert first.stopped == 5
    assert tts.breaker.state(0.0) == "closed"
    assert tts.fallbacks == 0
