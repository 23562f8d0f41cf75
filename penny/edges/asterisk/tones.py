"""DTMF as sound, for wires that have no message for keys (ITU-T Q.23, Q.24). Pure."""

from __future__ import annotations

import numpy as np


TONE_MS, PAUSE_MS = 100, 100
WAIT_MS = 500
"""Of a ``w`` among the digits."""
LEVEL = 8000
"""Of each of the two tones: together -6 dBFS."""
_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
_TONES = {
    key: (_LOW_HZ[row], _HIGH_HZ[column])
    for row, keys in enumerate(_KEYS)
    for column, key in enumerate(keys)
}


def tones(digits: str, rate_hz: int) -> bytes:
    """PCM16 of these keys; what is no key is left out."""
    at = np.arange(rate_hz * TONE_MS // 1000) / rate_hz
    made = []
    for key in digits.upper():
        if key == "W":
            made.append(np.zeros(rate_hz * WAIT_MS // 1000))
        elif key in _TONES:
            low, high = (np.sin(2 * np.pi * hz * at) for hz in _TONES[key])
            made += [LEVEL * (low + high), np.zeros(rate_hz * PAUSE_MS // 1000)]
    return np.concatenate(made).astype("<i2").tobytes() if made else b""
