from __future__ import annotations

import asyncio

import pytest

from penny.errors import EngineError
from runpod_worker.engines.silero import WINDOW_SAMPLES, SileroVad
from runpod_worker.stages import Voice, Window
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines
STEP_BYTES = 640


def probabilities(windows: list[Window]) -> list[float]:
    return [window.probability for window in windows]


async def test_speech_is_likely_and_silence_is_not() -> None:
    vad = SileroVad()
    speech = await vad.open().feed(await speak("Quiero hablar con una persona", Voice()))
    silence = await vad.open().feed(bytes(32_000))

    assert sum(p > 0.5 for p in probabilities(speech)) > 0.6 * len(speech)
    assert max(probabilities(silence)) < 0.2
    await vad.aclose()


async def test_streams_in_a_batch_hear_exactly_what_each_hears_alone() -> None:
    vad = SileroVad()
    pcm = await speak("Buenos días", Voice())
    alone = await vad.open().feed(pcm)

    streams = [vad.open() for _ in range(9)]
    together = await asyncio.gather(*(stream.feed(pcm) for stream in streams))

    wanted = pytest.approx(probabilities(alone), abs=1e-6)
    assert all(probabilities(heard) == wanted for heard in together)
    await vad.aclose()


async def test_audio_in_any_pieces_gives_the_same_windows() -> None:
    vad = SileroVad()
    pcm = await speak("Hola", Voice())
    whole = await vad.open().feed(pcm)

    stream, pieces = vad.open(), []
    for start in range(0, len(pcm), STEP_BYTES):
        pieces += await stream.feed(pcm[start : start + STEP_BYTES])

    assert probabilities(pieces) == pytest.approx(probabilities(whole), abs=1e-6)
    assert len(whole) == len(pcm) // 2 // WINDOW_SAMPLES
    await vad.aclose()


async def test_reset_forgets_the_caller() -> None:
    vad = SileroVad()
    pcm = await speak("Hola", Voice())
    stream = vad.open()
    first = await stream.feed(pcm + b"\0\0")

    stream.reset()

    again = await stream.feed(pcm + b"\0\0")
    assert probabilities(again) == pytest.approx(probabilities(first), abs=1e-6)
    await vad.aclose()


async def test_a_closed_vad_says_so() -> None:
    vad = SileroVad()
    stream = vad.open()
    await vad.aclose()

    with pytest.raises(EngineError, match="closed"):
        await stream.feed(bytes(WINDOW_SAMPLES * 2))
