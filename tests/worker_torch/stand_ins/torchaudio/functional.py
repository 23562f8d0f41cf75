"""``torchaudio.functional``."""

from __future__ import annotations

import numpy as np
import soxr
import torch


def resample(waveform: torch.Tensor, orig_freq: int, new_freq: int) -> torch.Tensor:
    """Along the last axis."""
    if orig_freq == new_freq:
        return waveform
    flat = waveform.reshape(-1, waveform.shape[-1]).cpu().numpy()
    converted = np.stack([soxr.resample(row, orig_freq, new_freq) for row in flat])
    return torch.from_numpy(converted).reshape(*waveform.shape[:-1], -1).to(waveform)
