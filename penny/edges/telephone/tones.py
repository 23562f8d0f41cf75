"""Keys as sound: dual tones (ITU-T Q.23), for wires that carry no key of their own. Pure."""

from __future__ import annotations

import numpy as np

from penny.audio.format import AudioFormat
from penny.audio.keypad import COLUMNS_HZ, KEYPAD, ROWS_HZ
from penny.edges.player import FRAME_MS


TONE_MS = PAUSE_MS = 100
WAIT_MS = 500
"""Of a ``w``."""
LEVEL = 8000
"""Of each of the two tones: together 6 dB below the loudest sample."""


def write_keys(digits: str, line: AudioFormat) -> list[bytes]:
    """The frames that sound like these keys; what is no key makes no sound.

    Args:
        digits: 0-9, ``*``, ``#``, A-D, and ``w`` to wait.
    """
    at = np.arange(line.rate_hz * TONE_MS // 1000) / line.rate_hz
    pause = np.zeros(line.rate_hz * PAUSE_MS // 1000)
    wait = np.zeros(line.rate_hz * WAIT_MS // 1000)
    pieces = []
    for key in digits:
        row = next((number for number, keys in enumerate(KEYPAD) if key in keys), None)
        if row is not None:
            column_hz = COLUMNS_HZ[KEYPAD[row].index(key)]
            angles = 2 * np.pi * at
            pieces += [LEVEL * (np.sin(angles * ROWS_HZ[row]) + np.sin(angles * column_hz)), pause]
        elif key == "w":
            pieces.append(wait)
    if not pieces:
        return []
    sound = line.from_pcm16(np.concatenate(pieces).astype("<i2").tobytes())
    size = line.bytes_of(FRAME_MS)
    return [sound[at : at + size] for at in range(0, len(sound), size)]
