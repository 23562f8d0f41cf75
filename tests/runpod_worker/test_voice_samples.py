"""Recordings of voices to clone: which are kept and which are refused, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penny.audio.wav import read_audio, write_wav
from penny.cli.main import main
from runpod_worker.voice_samples import VoiceSamples


pytestmark = pytest.mark.pure


def record(path: Path, seconds: float, level: float = 0.2, rate_hz: int = 16_000) -> Path:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = np.clip(np.sin(2 * np.pi * 180 * t) * level, -1, 1)
    write_wav(path, (wave * 32767).astype("<i2").tobytes(), rate_hz)
    return path


def test_a_recording_is_kept_at_24_khz_and_found_by_its_name(tmp_path: Path) -> None:
    samples = VoiceSamples(tmp_path / "voices")
    assert samples.names() == ()
    seconds = samples.add("ana-2", record(tmp_path / "sample.wav", 7))

    assert seconds == pytest.approx(7)
    assert samples.names() == ("ana-2",)
    kept = samples.find("ana-2")
    assert kept is not None
    pcm, rate_hz = read_audio(kept)
    assert (rate_hz, len(pcm) / 48_000) == (24_000, pytest.approx(7, abs=0.01))
    assert samples.find("carlos") is None
    assert samples.find("../ana-2") is None


@pytest.mark.parametrize(
    ("name", "seconds", "level", "reason"),
    [
        ("Ana", 7, 0.2, "name: 'Ana' is no voice's name"),
        ("../x", 7, 0.2, "is no voice's name"),
        ("ana", 5.5, 0.2, "recording: 5.5 s long; cut one of 6 to 30 s"),
        ("ana", 31, 0.2, "recording: 31.0 s long"),
        ("ana", 7, 0.002, "too quiet"),
        ("ana", 7, 3.0, "clipped"),
    ],
)
def test_a_recording_that_would_clone_badly_is_refused_with_the_fix(
    name: str, seconds: float, level: float, reason: str, tmp_path: Path
) -> None:
    samples = VoiceSamples(tmp_path / "voices")
    with pytest.raises(ValueError, match=reason):
        samples.add(name, record(tmp_path / "sample.wav", seconds, level))
    assert samples.names() == ()


def test_the_command_adds_and_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penny.yaml").write_text("worker: {engines: {xtts: {voices: mine}}}\n")
    sample = str(record(tmp_path / "sample.wav", 8))
    config = ["--config", "penny.yaml"]

    assert main(["voices", "list", *config]) == 0
    assert "python -m penny voices add" in capsys.readouterr().out
    assert main(["voices", "add", "ana", sample, *config]) == 0
    assert main(["voices", "list", *config]) == 0
    assert "ana  8.0 s" in capsys.readouterr().out
    assert main(["voices", "add", "ana", "missing.wav", *config]) == 1
    assert "missing.wav is not a file" in capsys.readouterr().err
