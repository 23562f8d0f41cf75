"""``torchaudio.transforms``. The names of the buffers are those that checkpoints hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import librosa
import torch
from torch import nn


class Spectrogram(nn.Module):
    def __init__(
        self, n_fft: int, win_length: int, hop_length: int, power: float, normalized: bool
    ) -> None:
        super().__init__()
        self.n_fft, self.win_length, self.hop_length = n_fft, win_length, hop_length
        self.power, self.normalized = power, normalized
        self.window: torch.Tensor
        self.register_buffer("window", torch.hann_window(win_length))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        flat = waveform.reshape(-1, waveform.shape[-1])
        spectrum = torch.stft(
            flat,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        if self.normalized:
            spectrum = spectrum / self.window.pow(2).sum().sqrt()
        return spectrum.abs().pow(self.power).reshape(*waveform.shape[:-1], *spectrum.shape[-2:])


class MelScale(nn.Module):
    def __init__(self, filters: torch.Tensor) -> None:
        super().__init__()
        self.fb: torch.Tensor
        self.register_buffer("fb", filters)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        return torch.matmul(spectrum.transpose(-1, -2), self.fb).transpose(-1, -2)


class MelSpectrogram(nn.Module):
    def __init__(
        self,
        sample_rate: int = 16_000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_mels: int = 128,
        window_fn: Callable[..., Any] = torch.hann_window,
        power: float = 2.0,
        normalized: bool = False,
        norm: str | None = None,
        **_others: Any,
    ) -> None:
        super().__init__()
        win_length = win_length or n_fft
        self.spectrogram = Spectrogram(
            n_fft, win_length, hop_length or win_length // 2, power, normalized
        )
        self.spectrogram.window = window_fn(win_length)
        filters = librosa.filters.mel(
            sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max, htk=True, norm=norm
        )
        self.mel_scale = MelScale(torch.from_numpy(filters.T.copy()))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        mel: torch.Tensor = self.mel_scale(self.spectrogram(waveform))
        return mel
