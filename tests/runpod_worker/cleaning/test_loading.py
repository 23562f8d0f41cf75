"""Which cleaners a worker gets, and what ``check`` tells of them."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from penny.errors import EngineError
from runpod_worker.cleaning.budget import Budget
from runpod_worker.cleaning.loading import clean_ears, describe, find_files, gate
from runpod_worker.settings import HearingSettings, WorkerSettings
from tests.doubles.loudness_vad import LoudnessVad


pytestmark = pytest.mark.pure


def settings(models: Path, **hearing: object) -> WorkerSettings:
    return WorkerSettings(models=models, hearing=HearingSettings.model_validate(hearing))


@pytest.mark.parametrize("chosen", ["none", "auto"])
async def test_without_its_weights_the_vad_is_as_it_was(tmp_path: Path, chosen: str) -> None:
    vad = LoudnessVad()
    assert await gate(vad, settings(tmp_path, gate=chosen), Budget(400)) is vad


async def test_what_is_chosen_by_name_must_be_here(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="models pull hush"):
        await gate(LoudnessVad(), settings(tmp_path, gate="hush"), Budget(400))
    with pytest.raises(EngineError, match="models pull deepfilternet3"):
        await clean_ears(settings(tmp_path, denoise="noisy"), Budget(400))


async def test_what_is_only_asked_for_may_be_missing(tmp_path: Path) -> None:
    ears = (await clean_ears(settings(tmp_path), Budget(400))).open()
    ears.is_asked = True
    assert ears.process(b"\1\0" * 160, 0.0, in_turn=False) == b"\1\0" * 160


def test_check_tells_each_cleaner_its_cost_and_its_licence(tmp_path: Path) -> None:
    hush, deep = describe(HearingSettings(), tmp_path)
    assert "models pull hush" in hush
    assert "ESC-50" in hush
    assert "123 ms of a core" in deep
    folder = tmp_path / "hearing" / "hush"
    folder.mkdir(parents=True)
    for name in ("enc", "erb_dec", "df_dec"):
        (folder / f"{name}.onnx").write_bytes(b"")
    assert set(find_files("hush", tmp_path)) == {"enc.onnx", "erb_dec.onnx", "df_dec.onnx"}
    assert next(describe(HearingSettings(), tmp_path)).startswith("hush: here;")


async def test_a_machine_that_no_library_is_made_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    folder = tmp_path / "hearing" / "deepfilternet3"
    folder.mkdir(parents=True)
    (folder / "DeepFilterNet3_onnx.tar.gz").write_bytes(b"")
    with pytest.raises(EngineError, match="no library for this machine"):
        await clean_ears(settings(tmp_path, denoise="always"), Budget(400))
