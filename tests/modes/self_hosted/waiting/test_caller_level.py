"""Whether a waiting caller speaks."""

from __future__ import annotations

import numpy as np
import pytest

from modes.self_hosted.waiting.caller_level import HANG_MS, CallerLevel
from penny.audio.format import PCM24K, PCMU8K, AudioFormat
from tests.doubles.speech import silence, speak


def noise(dbfs: float, ms: int) -> bytes:
    samples = np.random.default_rng(7).normal(
        0, 32768 * 10 ** (dbfs / 20), PCM24K.bytes_of(ms) // 2
    )
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def test_speech_is_noticed_and_its_end_a_moment_later() -> None:
    level = CallerLevel(PCM24K)
    level.feed(silence(500))
    assert not level.speaking
    level.feed(speak("¿Cuándo vence mi factura?")[: PCM24K.bytes_of(800)])
    assert level.speaking
    level.feed(silence(HANG_MS - 100))
    assert level.speaking, "a pause between two words is no end"
    level.feed(silence(200))
    assert not level.speaking


@pytest.mark.parametrize("dbfs", [-70.0, -55.0, -47.0])
def test_the_noise_of_a_quiet_room_is_no_speech(dbfs: float) -> None:
    level = CallerLevel(PCM24K)
    level.feed(noise(dbfs, 3000))
    assert not level.speaking


def test_a_steady_noise_is_taken_for_the_room_in_the_end() -> None:
    level = CallerLevel(PCM24K)
    level.feed(noise(-40.0, 40_000))
    assert not level.speaking
    level.feed(noise(-15.0, 300))
    assert level.speaking


@pytest.mark.parametrize("audio", [PCM24K, PCMU8K])
def test_chunks_of_any_length_and_both_formats_are_heard(audio: AudioFormat) -> None:
    pcm = speak("hola, buenos días")
    if audio is PCMU8K:
        pcm = audio.from_pcm16(np.frombuffer(pcm, "<i2")[::3].tobytes())
    level, spoke = CallerLevel(audio), False
    for at in range(0, len(pcm), 333):
        level.feed(pcm[at : at + 333])
        spoke = spoke or level.speaking
    assert spoke
