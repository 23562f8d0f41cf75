"""Speech for tests, made on the spot by eSpeak NG: no recording of a person is in the project."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from runpod_worker.engines.espeak import EspeakTts
from runpod_worker.stages import Voice


@cache
def speak(text: str, language: str = "es", voice: str = "marin", speed: float = 1.0) -> bytes:
    """The text spoken: PCM16 at 24 000 Hz."""

    async def run() -> bytes:
        tts = EspeakTts(pool_size=1)
        try:
            chosen = Voice(language=language, name=voice, speed=speed)
            return b"".join([chunk async for chunk in tts.synthesize(text, chosen)])
        finally:
            await tts.aclose()

    with ThreadPoolExecutor(1) as thread:  # a test's own loop may be running in this one
        return thread.submit(asyncio.run, run()).result()


def silence(ms: int, rate_hz: int = 24_000) -> bytes:
    """Near silence as a microphone gives it: a little noise, so that no engine sees zeros."""
    noise = np.random.default_rng(ms).integers(-8, 9, ms * rate_hz // 1000)
    return noise.astype("<i2").tobytes()
