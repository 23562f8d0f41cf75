"""Keys as sound: each is two tones, loud and long enough to be read."""

from __future__ import annotations

import numpy as np
import pytest

from penny.edges.asterisk.tones import PAUSE_MS, TONE_MS, WAIT_MS, tones


pytestmark = pytest.mark.pure

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")


def read(pcm: bytes, rate_hz: int) -> str:
    """A receiver: the strongest of each group, every 200 ms."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    step, tone = rate_hz * (TONE_MS + PAUSE_MS) // 1000, rate_hz * TONE_MS // 1000
    keys = ""
    for at in range(0, samples.size, step):
        piece = samples[at : at + tone]
        turn = 2j * np.pi * np.arange(piece.size) / rate_hz
        low, high = (
            [abs(np.sum(piece * np.exp(-turn * hz))) for hz in group] for group in (LOW, HIGH)
        )
        keys += KEYS[int(np.argmax(low))][int(np.argmax(high))]
    return keys


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_every_key_is_read_back(rate_hz: int) -> None:
    assert read(tones("1234567890*#ABCDabcd", rate_hz), rate_hz) == "1234567890*#ABCDABCD"


def test_what_is_no_key_is_left_out_and_w_waits() -> None:
    assert tones("x-", 8000) == b""
    assert len(tones("w", 8000)) == 16 * WAIT_MS
    assert np.abs(np.frombuffer(tones("5", 8000), "<i2")).max() < 16_001
