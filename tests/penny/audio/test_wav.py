from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from penny.audio.wav import read_audio, write_wav


pytestmark = pytest.mark.pure


SAMPLES = np.array([0, 1, -1, 32767, -32768, 1234], "<i2")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SAMPLES.tobytes(), 22050)

    assert read_audio(tmp_path / "a.wav") == (SAMPLES.tobytes(), 22050)


def test_flac_is_read_without_loss(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", SAMPLES, 16000, subtype="PCM_16")

    assert read_audio(str(tmp_path / "a.flac")) == (SAMPLES.tobytes(), 16000)


def test_stereo_is_mixed_down_in_equal_parts(tmp_path: Path) -> None:
    stereo = np.array([[1000, 3000], [-32768, -32768], [32767, 32767], [500, -500]], "<i2")
    soundfile.write(tmp_path / "a.wav", stereo, 48000, subtype="PCM_16")

    pcm16, rate_hz = read_audio(tmp_path / "a.wav")

    assert list(np.frombuffer(pcm16, "<i2")) == [2000, -32768, 32767, 0]
    assert rate_hz == 48000


def test_float_files_are_clipped_instead_of_wrapped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([1.5, -1.5, 0.5]), 8000, subtype="FLOAT")

    assert list(np.frombuffer(read_audio(tmp_path / "a.wav")[0], "<i2")) == [32767, -32768, 16384]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "note.wav").write_text("hello")

    with pytest.raises(FileNotFoundError, match=r"path: .*absent\.wav is not a file"):
        read_audio(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match=r"path: .*note\.wav is not readable audio"):
        read_audio(tmp_path / "note.wav")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pcm16: 3 bytes"):
        write_wav(tmp_path / "a.wav", b"abc", 8000)
    with pytest.raises(ValueError, match="rate_hz: 0"):
        write_wav(tmp_path / "a.wav", b"ab", 0)
    assert not (tmp_path / "a.wav").exists()
