from __future__ import annotations

import asyncio

import numpy as np
import pytest

from penny.errors import EngineError
from runpod_worker.engines.silero import HALF_MS, WINDOW_MS, WINDOW_SAMPLES, SileroVad
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


async def fed_until(vad: SileroVad, pcm: bytes, speech_ms: int, *, closely: bool) -> int:
    """Bytes that came, in pieces of 20 ms, when so much speech was heard."""
    stream, heard_ms = vad.open(), 0
    for end in range(STEP_BYTES, len(pcm), STEP_BYTES):
        for window in await stream.feed(pcm[end - STEP_BYTES : end], 0.5 if closely else None):
            if window.probability >= 0.5:
                heard_ms += window.ms + window.before_ms
        if heard_ms >= speech_ms:
            return end
    raise AssertionError("no speech")


async def test_an_onset_looked_at_closely_is_told_sooner() -> None:
    vad = SileroVad()
    spoken = await speak("Quiero hablar con una persona", Voice())
    sooner = 0
    for lead in range(16_000, 16_512, 64):  # wherever in a window it begins
        pcm = bytes(lead * 2) + spoken
        usual = await fed_until(vad, pcm, 96, closely=False)
        close = await fed_until(vad, pcm, 96, closely=True)
        assert close <= usual
        sooner += usual - close
    assert sooner / 8 / STEP_BYTES * 20 >= 5  # milliseconds, on average
    await vad.aclose()


async def test_windows_looked_at_closely_still_add_up_to_the_audio() -> None:
    vad = SileroVad()
    pcm = bytes(8000) + await speak("Buenos días, ¿qué desea?", Voice()) + bytes(32_000)
    plain = await vad.open().feed(pcm)

    stream, close = vad.open(), []
    for index, start in enumerate(range(0, len(pcm), STEP_BYTES)):
        onset = 0.5 if index % 7 else None
        close += await stream.feed(pcm[start : start + STEP_BYTES], onset)

    heard_ms = sum(window.ms for window in close)
    assert 0 <= heard_ms - sum(window.ms for window in plain) <= HALF_MS
    assert {window.ms for window in close} == {HALF_MS, WINDOW_MS}
    between = [window for window in close if window.ms == HALF_MS]
    # the second memory hears what the first one hears
    speech = np.mean([window.probability for window in between])
    assert speech > 0.5
    await vad.aclose()


async def test_a_closed_vad_says_so() -> None:
    vad = SileroVad()
    stream = vad.open()
    await vad.aclose()

    with pytest.raises(EngineError, match="closed"):
        await stream.feed(bytes(WINDOW_SAMPLES * 2))
