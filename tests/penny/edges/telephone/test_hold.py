"""What who is on hold hears: a tone, or a recording of the house's."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from penny.audio.format import AudioFormat
from penny.edges.telephone.hold import HoldMusic, read_music


pytestmark = pytest.mark.pure


def write(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def test_without_a_recording_a_soft_tone_sounds_every_four_seconds() -> None:
    tone = np.frombuffer(read_music(None), "<i2")
    assert len(tone) == 4 * 8000
    assert 900 <= np.abs(tone).max() <= 1000
    assert not tone[2000:].any()


def test_a_recording_is_brought_to_the_lines_rate(tmp_path: Path) -> None:
    at_s = np.arange(48_000) / 48_000
    path = write(tmp_path / "music.wav", 8000 * np.sin(2 * np.pi * 400 * at_s), 48_000)
    music = np.frombuffer(read_music(path), "<i2").astype(float)
    assert abs(len(music) - 8000) <= 20
    assert np.argmax(np.abs(np.fft.rfft(music[:8000]))) == 400


def test_what_holds_no_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sound"):
        read_music(write(tmp_path / "empty.wav", np.zeros(0), 8000))
    with pytest.raises(OSError, match="absent"):
        read_music(tmp_path / "absent.wav")


def test_it_begins_again_without_a_gap_even_when_it_is_shorter_than_a_frame() -> None:
    line = AudioFormat("pcm16", 8000)
    short = np.arange(50, dtype="<i2")
    frames = HoldMusic(short.tobytes(), line)
    heard = np.frombuffer(b"".join(frames.frame() for _ in range(5)), "<i2")
    assert (heard == np.resize(short, 800)).all()
