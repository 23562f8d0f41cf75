"""Keys of a telephone as dual tones (ITU-T Q.23), and the ear that knows them from speech. Pure."""

from __future__ import annotations

from functools import cache

import numpy as np

from penny.audio.format import AudioFormat


ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")

BLOCK_MS = 20
"""Two of them hold the shortest tone that Q.24 has a receiver know (40 ms)."""
LEAST_LEVEL = 100.0
"""Root mean square of a tone, of 32,767."""
PURITY = 0.85
"""Of a block's energy, what its two tones hold: speech spreads wider."""
TWIST = 6.3
"""Most that one tone's energy may be of the other's (8 dB, Q.24)."""


class KeyTones:
    """Finds keys in a stream of PCM16 and silences their tones.

    A key counts once its tone has lasted for two blocks, and again only after a pause.

    Args:
        line: of the stream; 8,000 Hz or more.
    """

    def __init__(self, line: AudioFormat) -> None:
        self.line = line
        self._unread = b""
        self._last = ""
        self._is_down = False

    def take(self, pcm: bytes) -> tuple[bytes, str]:
        """The sound without tones, in whole blocks, and the keys that were pressed in it."""
        pcm = self._unread + pcm
        size = self.line.bytes_of(BLOCK_MS)
        whole = len(pcm) - len(pcm) % size
        self._unread = pcm[whole:]
        heard, keys = bytearray(), ""
        for at in range(0, whole, size):
            block = pcm[at : at + size]
            key = name_key(block, self.line.rate_hz)
            is_held = key != "" and key == self._last
            if is_held and not self._is_down:
                keys += key
            self._is_down, self._last = is_held, key
            heard += bytes(size) if is_held else block
        return bytes(heard), keys


def name_key(pcm: bytes, rate_hz: int) -> str:
    """The key whose two tones are all that sounds in this piece of PCM16, or ''."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    energy = float(samples @ samples)
    if energy < LEAST_LEVEL**2 * len(samples):
        return ""
    parts = _waves(rate_hz, len(samples)) @ samples
    held = (parts[:8] ** 2 + parts[8:] ** 2) * 2 / len(samples)
    row, column = int(held[:4].argmax()), int(held[4:].argmax())
    low, high = float(held[row]), float(held[4 + column])
    if low + high < PURITY * energy or max(low, high) > TWIST * min(low, high):
        return ""
    return KEYPAD[row][column]


@cache
def _waves(rate_hz: int, length: int) -> np.ndarray:
    """Cosines, then sines, of the eight tones."""
    at = np.arange(length) / rate_hz
    angles = 2 * np.pi * np.outer((*ROWS_HZ, *COLUMNS_HZ), at)
    return np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)
