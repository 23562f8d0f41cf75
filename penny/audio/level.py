"""How loud a chunk is."""

from __future__ import annotations

from math import log10
from typing import Final

import numpy as np


SILENCE_DBFS: Final = -100.0
"""What digital silence and an empty chunk measure; below one step of PCM16 (-90.3 dBFS)."""

_FULL_SCALE_POWER: Final = 32768.0**2


def rms_dbfs(pcm16: bytes) -> float:
    """RMS level in dB of full scale: a full-scale square wave is 0, a sine -3.01.

    Never below SILENCE_DBFS. Raises ValueError for half a sample.
    """
    if len(pcm16) % 2:
        raise ValueError(f"pcm16: {len(pcm16)} bytes is not a whole number of 16-bit samples")
    if not pcm16:
        return SILENCE_DBFS
    samples = np.frombuffer(pcm16, "<i2").astype(np.float64)
    power = float(samples @ samples) / samples.size
    if power == 0.0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 10 * log10(power / _FULL_SCALE_POWER))
