"""``make bench-gpu`` in small on the CPU, so that it works the day there is a GPU."""

from __future__ import annotations

import pytest

from tests.bench import gpu


pytestmark = pytest.mark.pure


def test_all_four_models_are_built_and_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--device", "cpu", "--tiny"]) == 0

    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("machine: cpu, torch ")
    rows = [line.split(" | ") for line in told[4:]]
    for model in ("Silero", "Whisper large-v3", "Qwen2.5-7B", "XTTS-v2", "a turn"):
        of_model = [row for row in rows if row[0].startswith(f"| {model}")]
        assert of_model, model
        assert sum(float(row[1]) for row in of_model) > 0


def test_a_model_that_does_not_fit_is_left_out_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu.Bench, "free_gb", lambda _: 0.25)

    assert gpu.main(["--device", "cpu"]) == 1

    captured = capsys.readouterr()
    assert "Qwen" not in captured.out
    assert "qwen needs 20 GB of free memory on cpu, there are 0.2" in captured.err


def test_the_full_sizes_are_those_of_the_published_models() -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM, WhisperConfig
    from transformers import WhisperForConditionalGeneration as Whisper

    with torch.device("meta"):
        whisper = Whisper(WhisperConfig(**gpu.FULL.whisper))
        qwen = Qwen2ForCausalLM(Qwen2Config(**gpu.FULL.qwen, tie_word_embeddings=False))

    assert whisper.num_parameters() == pytest.approx(1.54e9, rel=0.01)
    assert qwen.num_parameters() == pytest.approx(7.62e9, rel=0.01)
