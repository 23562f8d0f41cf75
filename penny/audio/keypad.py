"""Keys of a telephone as dual tones (ITU-T Q.23), and the ear that knows them from speech. Pure."""

from __future__ import annotations

from functools import cache

import numpy as np

from penny.audio.format import AudioFormat


ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")

STEP_MS = 10
"""The shortest tone that Q.24 has a receiver know (40 ms) holds two windows of two steps each."""
PAUSE_STEPS = 4
"""Windows that the shortest pause between two keys (30 ms) touches."""
JUDGED_HZ = 8_000
"""Every so many samples are enough for tones."""
LEAST_LEVEL = 100.0
"""Root mean square of a tone, of 32,767."""
PURITY = 0.85
"""Of a block's energy, what its two tones hold: speech spreads wider."""
TWIST = 6.3
"""Most that one tone's energy may be of the other's (8 dB, Q.24)."""


class KeyTones:
    """Finds keys in a stream of PCM16 and silences their tones.

    A key counts once two windows in a row have its tone, and again only after a pause: a tone that
    crackles is none.

    Args:
        line: of the stream; a multiple of 8,000 Hz.
    """

    def __init__(self, line: AudioFormat) -> None:
        self.line = line
        self._size = line.bytes_of(STEP_MS)
        self._unread = b""
        self._before = bytes(self._size)
        self._last = ""
        self._down = ""
        self._off = 0

    def take(self, pcm: bytes) -> tuple[bytes, str]:
        """The sound without tones, in whole steps, and the keys that were pressed in it."""
        pcm = self._unread + pcm
        whole = len(pcm) - len(pcm) % self._size
        self._unread = pcm[whole:]
        heard, keys = bytearray(), ""
        for at in range(0, whole, self._size):
            step = pcm[at : at + self._size]
            key = name_key(self._before + step, self.line.rate_hz)
            is_held = key != "" and key == self._last
            self._off = 0 if is_held else self._off + 1
            if is_held and key != self._down:
                keys, self._down = keys + key, key
            elif self._off >= PAUSE_STEPS:
                self._down = ""
            self._before, self._last = step, key
            heard += bytes(self._size) if is_held else step
        return bytes(heard), keys


def name_key(pcm: bytes, rate_hz: int) -> str:
    """The key whose two tones are all that sounds in this piece of PCM16, or ''."""
    samples = np.frombuffer(pcm, "<i2")[:: rate_hz // JUDGED_HZ].astype(np.float32)
    energy = float(samples @ samples)
    if energy < LEAST_LEVEL**2 * len(samples):
        return ""
    parts = _waves(len(samples)) @ samples
    held = (parts[:8] ** 2 + parts[8:] ** 2) * 2 / len(samples)
    row, column = int(held[:4].argmax()), int(held[4:].argmax())
    low, high = float(held[row]), float(held[4 + column])
    if low + high < PURITY * energy or max(low, high) > TWIST * min(low, high):
        return ""
    return KEYPAD[row][column]


@cache
def _waves(length: int) -> np.ndarray:
    """Cosines, then sines, of the eight tones."""
    at = np.arange(length) / JUDGED_HZ
    angles = 2 * np.pi * np.outer((*ROWS_HZ, *COLUMNS_HZ), at)
    return np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)
