"""The folder of voices to clone: one recording of 6 to 30 seconds each, named by its file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from penny.audio.resample import Resampler
from penny.audio.wav import read_audio, write_wav


RATE_HZ = 24_000
MIN_S, MAX_S = 6.0, 30.0
"""XTTS needs about six seconds of a voice and gains nothing beyond thirty."""
MIN_LEVEL = 0.01
"""-40 dBFS: a quieter recording clones its noise."""
MAX_CLIPPED = 0.001
"""Share of samples at full scale; more is a distorted recording."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class VoiceSamples:
    """Folder of voice samples to clone.

    ``folder`` need not exist until a voice is added.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self._folder.glob("*.wav")))

    def find(self, name: str) -> Path | None:
        """The recording of a voice; None for a name there is not."""
        path = self._folder / f"{name}.wav"
        return path if _NAME.fullmatch(name) and path.is_file() else None

    def add(self, name: str, recording: Path) -> float:
        """Check a recording and keep it as mono 24 kHz WAV, replacing a voice of that name.

        Returns:
            Its length in seconds.

        Raises:
            FileNotFoundError: there is no such recording.
            ValueError: names the field (name, recording), what is wrong with it, and the fix.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"name: {name!r} is no voice's name; use a-z, 0-9, - and _, at most 40 characters"
            )
        pcm, rate_hz = read_audio(recording)
        seconds = len(pcm) / 2 / rate_hz
        _check(pcm, seconds)
        resampler = Resampler(rate_hz, RATE_HZ)
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = self._folder / f".{name}.part"
        write_wav(beside, resampler.process(pcm) + resampler.flush(), RATE_HZ)
        beside.replace(self._folder / f"{name}.wav")
        return seconds


def _check(pcm: bytes, seconds: float) -> None:
    if not MIN_S <= seconds <= MAX_S:
        raise ValueError(
            f"recording: {seconds:.1f} s long; cut one of {MIN_S:.0f} to {MAX_S:.0f} s of one voice"
        )
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    level = float(np.sqrt(np.mean(samples**2)))
    if level < MIN_LEVEL:
        decibels = 20 * np.log10(max(level, 1e-6))
        raise ValueError(f"recording: {decibels:.0f} dBFS is too quiet; record it nearer or louder")
    if float(np.mean(np.abs(samples) >= 0.999)) > MAX_CLIPPED:
        raise ValueError("recording: it is clipped; record it with less gain")
