"""Checkpoints for the models that need torch: made by the project's scripts, kept in ``var/``."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[None]:
    """Processes started by these tests find the stand-ins for torchaudio."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(STAND_INS))
        patch.setenv("PENNY_VOCODER_CHANNELS", VOCODER_CHANNELS)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
