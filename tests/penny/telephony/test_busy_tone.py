"""The tone of an analogue line whose other side has hung up."""

from __future__ import annotations

import numpy as np
import pytest

from penny.telephony.busy_tone import BusyTone
from tests.doubles.speech import speak


pytestmark = pytest.mark.pure

RATE_HZ = 24_000


def sound(hz: tuple[float, ...], ms: float, level: float = 2000.0) -> np.ndarray:
    at_s = np.arange(round(RATE_HZ * ms / 1000)) / RATE_HZ
    return level * sum((np.sin(2 * np.pi * each * at_s) for each in hz), np.zeros(len(at_s)))


def ends_s(country: str, line: np.ndarray, *, noise: float = 30.0) -> float | None:
    """When a line's tone is known, in seconds; None: never."""
    tone, rng = BusyTone(country, RATE_HZ), np.random.default_rng(7)
    heard = line + rng.normal(0, noise, len(line))
    pcm = np.clip(heard, -32768, 32767).astype("<i2").tobytes()
    piece = RATE_HZ // 50 * 2 + 14  # not in step with its blocks
    for at in range(0, len(pcm), piece):
        if tone.take(pcm[at : at + piece]):
            return at / 2 / RATE_HZ
    return None


@pytest.mark.parametrize(
    ("country", "hz", "on_ms", "off_ms"),
    [
        ("ES", (425.0,), 200, 200),
        ("MX", (425.0,), 250, 250),
        ("AR", (425.0,), 300, 200),
        ("AR", (425.0,), 300, 400),
        ("CL", (400.0,), 500, 500),
        ("VE", (425.0,), 500, 500),
        ("DE", (425.0,), 480, 480),
        ("GB", (400.0,), 375, 375),
        ("FR", (440.0,), 500, 500),
        ("US", (480.0, 620.0), 500, 500),
        ("US", (480.0, 620.0), 250, 250),
        ("", (425.0,), 200, 200),
    ],
)
def test_three_cycles_of_a_countrys_tone_are_known_within_five_seconds(
    country: str, hz: tuple[float, ...], on_ms: int, off_ms: int
) -> None:
    for shift_ms in (0, 7, 13):
        for stretch in (0.95, 1.0, 1.05):
            cycle = [sound(hz, on_ms * stretch), sound((), off_ms * stretch)]
            line = np.concatenate([sound((), 300 + shift_ms), *(cycle * 8)])
            found = ends_s(country, line)
            assert found is not None
            cycle_s = (on_ms + off_ms) * stretch / 1000
            assert 0.3 + 2 * cycle_s < found <= min(5.0, 0.3 + 4 * cycle_s)


@pytest.mark.parametrize(
    ("hz", "on_ms", "off_ms"),
    [
        ((425.0,), 1000, 4000),  # it rings
        ((425.0,), 1500, 3000),
        ((425.0,), 5000, 0),  # a dial tone
        ((425.0,), 180, 1000),
        ((425.0,), 200, 600),
        ((440.0,), 200, 200),  # nearly
        ((425.0, 900.0), 200, 200),  # something else sounds with it
        ((941.0, 1336.0), 200, 200),  # a key, held again and again
    ],
)
def test_other_tones_are_none(hz: tuple[float, ...], on_ms: int, off_ms: int) -> None:
    cycle = [sound(hz, on_ms), sound((), off_ms)]
    assert ends_s("ES", np.concatenate(cycle * 12)) is None


def test_speech_is_none_and_a_caller_over_two_cycles_is_none() -> None:
    voice = np.frombuffer(speak("¿Me pasa con una persona, por favor? Gracias."), "<i2")
    assert ends_s("ES", np.tile(voice.astype(float), 20)) is None
    cycle = [sound((425.0,), 200), sound((), 200)]
    broken = [*cycle, *cycle, voice[: RATE_HZ // 2].astype(float), *cycle, *cycle]
    assert ends_s("ES", np.concatenate(broken)) is None
    assert BusyTone("ES", 8000).take(b"") is False
