"""The beep after which a voicemail takes a message: one steady tone of a moment. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


RATE_HZ = 8000
STEP = 160
WINDOW = 320
LOW_HZ, HIGH_HZ = 400.0, 2000.0
STEADY_HZ = 20.0
LEAST_MS, MOST_MS = 120, 2000
"""Shorter is a click, longer a line that hums."""
LEAST_LEVEL = 200.0
"""RMS of PCM16: -44 dBFS."""
PURITY = 0.85
"""Of a window's energy that lies at its peak; a voice has it in its overtones, too."""
_HANN = np.hanning(WINDOW)


class Beeps:
    """Finds beeps in one line's sound.

    Args:
        rate_hz: of the PCM16; a multiple of 8 000.
    """

    def __init__(self, rate_hz: int) -> None:
        self._skip = rate_hz // RATE_HZ
        self._samples: NDArray[np.int16] = np.zeros(0, dtype=np.int16)
        self._tone_hz = 0.0
        self._tone_ms = 0

    def take(self, pcm: bytes) -> bool:
        """Whether a beep has ended in this piece."""
        fresh = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")[:: self._skip]
        self._samples = np.concatenate((self._samples, fresh))
        has_ended = False
        while len(self._samples) >= WINDOW:
            has_ended |= self._step(self._samples[:WINDOW].astype(np.float64))
            self._samples = self._samples[STEP:]
        return has_ended

    def _step(self, window: NDArray[np.float64]) -> bool:
        hz = _tone_of(window)
        if hz and self._tone_ms and abs(hz - self._tone_hz) <= STEADY_HZ:
            self._tone_ms += 20
            return False
        has_ended = LEAST_MS <= self._tone_ms <= MOST_MS
        self._tone_hz, self._tone_ms = hz, 20 if hz else 0
        return has_ended


def _tone_of(window: NDArray[np.float64]) -> float:
    """The pitch of a pure tone in Hz; 0.0 where it is none."""
    if np.sqrt(np.mean(window**2)) < LEAST_LEVEL:
        return 0.0
    power = np.abs(np.fft.rfft(window * _HANN)) ** 2
    peak = int(np.argmax(power[2:-2])) + 2
    if power[peak - 2 : peak + 3].sum() < PURITY * power[1:].sum():
        return 0.0
    left, top, right = np.log(power[peak - 1 : peak + 2] + 1e-9)
    bend = left - 2 * top + right
    hz = (peak + (0.5 * (left - right) / bend if bend else 0.0)) * RATE_HZ / WINDOW
    return float(hz) if LOW_HZ <= hz <= HIGH_HZ else 0.0
