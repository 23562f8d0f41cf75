"""Audio files: any common format in, mono WAV out."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soundfile


def read_audio(path: str | Path) -> tuple[bytes, int]:
    """Read a WAV, FLAC, OGG or MP3 file as mono PCM16; channels are mixed down in equal parts.

    Returns:
        The samples and their rate in Hz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no audio that can be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: {path} is not a file")
    try:
        channels, rate_hz = soundfile.read(str(path), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"path: {path} is not readable audio; use WAV, FLAC or OGG") from error
    mono = np.rint(channels.mean(axis=1) * 32768)
    return np.clip(mono, -32768, 32767).astype("<i2").tobytes(), int(rate_hz)


def write_wav(path: str | Path, pcm16: bytes, rate_hz: int) -> None:
    """Write mono PCM16 as a WAV file. Raises ValueError for half a sample or a rate below 1 Hz."""
    if len(pcm16) % 2:
        raise ValueError(f"pcm16: {len(pcm16)} bytes is not a whole number of 16-bit samples")
    if rate_hz < 1:
        raise ValueError(f"rate_hz: {rate_hz} is not a rate; use a positive number")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm16)
