from __future__ import annotations

import numpy as np
import pytest

from penny.audio.windows import cut_quietly


pytestmark = pytest.mark.pure

RATE_HZ = 8_000


def talk(*seconds: float) -> bytes:
    """Noise of each length with a second of near silence between."""
    noise = np.random.default_rng(1)
    parts = []
    for each in seconds:
        parts += [noise.normal(0, 5000, int(each * RATE_HZ)), noise.normal(0, 5, RATE_HZ)]
    return np.concatenate(parts[:-1]).astype("<i2").tobytes()


def test_nothing_is_no_window_and_what_fits_is_one() -> None:
    assert cut_quietly(b"", RATE_HZ, 1000, 300) == []
    assert cut_quietly(talk(0.9), RATE_HZ, 1000, 300) == [talk(0.9)]


def test_a_cut_lies_in_the_pause_and_nothing_is_lost() -> None:
    pcm16 = talk(7.0, 6.0, 4.0)
    windows = cut_quietly(pcm16, RATE_HZ, 9000, 4000)
    assert b"".join(windows) == pcm16
    ends = np.cumsum([len(window) / 2 / RATE_HZ for window in windows])
    assert [7 < ends[0] < 8, 14 < ends[1] < 15, len(windows)] == [True, True, 3]


def test_talk_without_a_pause_is_cut_at_the_limit() -> None:
    windows = cut_quietly(talk(10.0), RATE_HZ, 2000, 400)
    assert b"".join(windows) == talk(10.0)
    assert max(len(window) / 2 / RATE_HZ for window in windows) <= 2.0
