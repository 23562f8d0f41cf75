from __future__ import annotations

import asyncio

import pytest

from penny.errors import EngineError
from runpod_worker.engines.silero import WINDOW_SAMPLES, SileroVad
from runpod_worker.stages import Voice
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines


async def test_speech_is_likely_and_silence_is_not() -> None:
    vad = SileroVad()
    speech = await vad.open().feed(await speak("Quiero hablar con una persona", Voice()))
    silence = await vad.open().feed(bytes(32_000))

    assert sum(p > 0.5 for p in speech) > 0.6 * len(speech)
    assert max(silence) < 0.2
    await vad.aclose()


async def test_streams_in_a_batch_hear_exactly_what_each_hears_alone() -> None:
    vad = SileroVad()
    pcm = await speak("Buenos días", Voice())
    alone = await vad.open().feed(pcm)

    streams = [vad.open() for _ in range(9)]
    together = await asyncio.gather(*(stream.feed(pcm) for stream in streams))

    assert all(heard == pytest.approx(alone, abs=1e-6) for heard in together)
    await vad.aclose()


async def test_audio_in_any_pieces_gives_the_same_windows() -> None:
    vad = SileroVad()
    pcm = await speak("Hola", Voice())
    whole = await vad.open().feed(pcm)

    stream, pieces = vad.open(), []
    for start in range(0, len(pcm), 640):
        pieces += await stream.feed(pcm[start : start + 640])

    assert pieces == pytest.approx(whole, abs=1e-6)
    assert len(whole) == len(pcm) // 2 // WINDOW_SAMPLES
    await vad.aclose()


async def test_reset_forgets_the_caller() -> None:
    vad = SileroVad()
    pcm = await speak("Hola", Voice())
    stream = vad.open()
    first = await stream.feed(pcm + b"\0\0")

    stream.reset()

    assert await stream.feed(pcm + b"\0\0") == pytest.approx(first, abs=1e-6)
    await vad.aclose()


async def test_a_closed_vad_says_so() -> None:
    vad = SileroVad()
    stream = vad.open()
    await vad.aclose()

    with pytest.raises(EngineError, match="closed"):
        await stream.feed(bytes(WINDOW_SAMPLES * 2))
