"""What a caller on hold hears: a recording again and again, or a soft tone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from penny.audio.format import AudioFormat
from penny.audio.resample import Resampler
from penny.audio.wav import read_audio
from penny.edges.player import FRAME_MS


RATE_HZ = 8000
EVERY_S = 4.0
TONE_S, TONE_HZ, TONE_LEVEL = 0.25, 440.0, 1000.0
"""-33 dBFS: that the line is there, and no more."""
MOST_S = 600.0
"""Of a recording; the rest is left out."""


def read_music(path: Path | None) -> bytes:
    """PCM16 at 8 000 Hz of a WAV file; the tone where there is none.

    Raises:
        OSError, ValueError: it cannot be read, or holds no sound.
    """
    if path is None:
        at_s = np.arange(round(RATE_HZ * TONE_S)) / RATE_HZ
        swell = np.hanning(len(at_s))  # no click at either end
        tone = TONE_LEVEL * swell * np.sin(2 * np.pi * TONE_HZ * at_s)
        pause = np.zeros(round(RATE_HZ * (EVERY_S - TONE_S)))
        return np.concatenate((tone, pause)).astype("<i2").tobytes()
    pcm, rate_hz = read_audio(path)
    pcm = pcm[: round(2 * rate_hz * MOST_S)]
    if rate_hz != RATE_HZ:
        resampler = Resampler(rate_hz, RATE_HZ)
        pcm = resampler.process(pcm) + resampler.flush()
    if not pcm:
        raise ValueError(f"{path} holds no sound")
    return pcm


class HoldMusic:
    """One caller's place in it.

    Args:
        pcm: PCM16 at 8 000 Hz, not empty.
        line: of the frames.
    """

    def __init__(self, pcm: bytes, line: AudioFormat) -> None:
        self._pcm = pcm
        self._line = line
        self._at = 0

    def frame(self) -> bytes:
        """The next 20 ms."""
        size = 2 * RATE_HZ * FRAME_MS // 1000
        piece = self._pcm[self._at : self._at + size]
        while len(piece) < size:
            piece += self._pcm[: size - len(piece)]
        self._at = (self._at + size) % len(self._pcm)
        return self._line.from_pcm16(piece)
