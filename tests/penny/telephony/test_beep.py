"""A voicemail's beep, told from voices and from the tones of a line."""

from __future__ import annotations

import numpy as np
import pytest

from penny.telephony.beep import Beeps


pytestmark = pytest.mark.pure


def tone(hz: float, ms: int, level: float = 8000.0, rate_hz: int = 8000) -> bytes:
    at = np.arange(rate_hz * ms // 1000)
    return (level * np.sin(2 * np.pi * hz * at / rate_hz)).astype("<i2").tobytes()


def ends(pcm: bytes, rate_hz: int = 8000) -> int:
    """How many beeps have ended, the sound coming 20 ms at a time."""
    beeps, step = Beeps(rate_hz), rate_hz // 50 * 2
    sound = pcm + bytes(10 * step)
    return sum(beeps.take(sound[at : at + step]) for at in range(0, len(sound), step))


@pytest.mark.parametrize("hz", [420, 1000, 1004, 1400, 1980])
@pytest.mark.parametrize("ms", [160, 400, 1500])
def test_a_steady_tone_is_a_beep_once_it_ends(hz: float, ms: int) -> None:
    assert ends(tone(hz, ms)) == 1
    assert ends(tone(hz, ms, rate_hz=24_000), 24_000) == 1


@pytest.mark.parametrize(
    "sound",
    [
        tone(1000, 60),
        tone(300, 400),
        tone(2500, 400),
        tone(1000, 400, level=100),
        tone(1000, 4000),
        bytes(8000),
        b"".join(tone(400 + 40 * step, 20) for step in range(30)),  # it slides
        bytes(
            np.add(
                np.frombuffer(tone(697, 400), "<i2"), np.frombuffer(tone(1209, 400), "<i2")
            ).tobytes()
        ),  # a key
        np.random.default_rng(1).normal(0, 3000, 8000).astype("<i2").tobytes(),
    ],
    ids=["click", "low", "high", "faint", "hum", "silence", "slide", "key", "noise"],
)
def test_what_is_none(sound: bytes) -> None:
    assert ends(sound) == 0
