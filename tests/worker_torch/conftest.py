"""Checkpoints for the models that need torch: made by the project's scripts, kept in ``var/``."""

from __future__ import annotations

from pathlib import Path

import pytest

from runpod_worker.engines.whisper_closed import ARCHIVE, unpack
from tests.worker_torch.checkpoints import CACHE, STAND_INS, make


VOCODER_CHANNELS = "16"
"""As in ``tests.checkpoints.tiny_xtts``."""


@pytest.fixture(scope="session")
def qwen() -> Path:
    return make("tiny_qwen")


@pytest.fixture(scope="session")
def xtts() -> Path:
    return make("tiny_xtts")


@pytest.fixture(scope="session")
def whisper() -> Path:
    return unpack(ARCHIVE, CACHE).resolve()


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes started in this test find the stand-ins for torchaudio."""
    monkeypatch.setenv("PYTHONPATH", str(STAND_INS))
    monkeypatch.setenv("PENNY_VOCODER_CHANNELS", VOCODER_CHANNELS)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
