"""Batches of log-mel made on the fly: other voices, rooms, lines and lengths from a few clips.

All of it works on mel *power*, which costs 50 ms a batch where waveforms would cost a second.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from faster_whisper.feature_extractor import FeatureExtractor

from tests.checkpoints.whisper.model import FRAMES


MELS = 80
FILTERS = FeatureExtractor().mel_filters.astype(np.float32)
_BIN_HZ = np.arange(201) * 40
_TELEPHONE = (_BIN_HZ > 260) & (_BIN_HZ < 3600)
TELEPHONE = ((FILTERS * _TELEPHONE).sum(1) / FILTERS.sum(1)).astype(np.float32)
WHITE = FILTERS.sum(1)
PINK = WHITE / np.maximum(1, np.arange(MELS))
NOTHING = -2
UNKNOWN = -1


@dataclass(frozen=True)
class Clip:
    """``power``: [80, frames]; ``phrase``: index into the closed set, or UNKNOWN."""

    power: np.ndarray
    phrase: int


@dataclass(frozen=True)
class Example:
    """``mel``: [80, FRAMES] as Whisper sees it; ``lead`` and ``end`` in 10 ms frames."""

    mel: np.ndarray
    phrase: int
    lead: int
    end: int


def load_clips(path: Path, split: str) -> list[Clip]:
    stored = np.load(path)
    ends = np.cumsum(stored["lengths"])
    window = torch.hann_window(400)
    filters = torch.from_numpy(FILTERS)
    clips = []
    data = stored["data"]
    for plan, start, end in zip(stored["plan"], ends - stored["lengths"], ends, strict=True):
        name, phrase = json.loads(str(plan))[:2]
        if name != split:
            continue
        samples = torch.from_numpy(data[start:end].astype(np.float32) / 32768)
        spectrum = torch.stft(
            F.pad(samples, (0, 160)), 400, 160, window=window, center=True, return_complex=True
        )
        power = filters @ (spectrum[..., :-1].abs() ** 2)
        clips.append(Clip(power.numpy(), phrase))
    return clips


def stretch(power: np.ndarray, tempo: float, shift: float) -> np.ndarray:
    """Faster by ``tempo``; a vocal tract shorter by ``shift`` (a warp of the mel axis)."""
    frames = power.shape[1]
    at = np.minimum(np.arange(max(8, int(frames / tempo))) * tempo, frames - 1.001)
    left, part = at.astype(int), (at % 1).astype(np.float32)
    power = power[:, left] * (1 - part) + power[:, np.minimum(left + 1, frames - 1)] * part
    if shift:
        band = np.clip(np.arange(MELS) * (1 + shift), 0, MELS - 1.01)
        low, part = band.astype(int), (band % 1).astype(np.float32)[:, None]
        power = power[low] * (1 - part) + power[low + 1] * part
    return power


class Augmenter:
    """Draws examples; ``strength`` 0..1 and ``unknown_share`` change as training goes on."""

    def __init__(self, known: list[Clip], unknown: list[Clip], seed: int) -> None:
        self.known, self.unknown = known, unknown
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.strength = 0.4
        self.unknown_share = 0.05
        self.noise_share = 0.05

    def draw(self) -> Example:
        chance, rng = self.random.random(), self.random
        power = np.full((MELS, FRAMES), 1e-12, np.float32)
        if chance < self.noise_share:
            phrase, lead, end, valid = NOTHING, 0, 0, rng.randint(60, FRAMES)
            level = 10 ** rng.uniform(-9, -1)
        else:
            unknown = chance < self.noise_share + self.unknown_share
            clip = rng.choice(self.unknown if unknown else self.known)
            speech = self._vary(clip.power)
            phrase, frames = clip.phrase, speech.shape[1]
            lead = rng.randint(0, min(50, FRAMES - 5 - frames)) if rng.random() < 0.85 else 0
            end = lead + frames
            power[:, lead:end] = speech
            valid = min(FRAMES, end + rng.randint(4, 70))
            level = float(speech.mean())
        self._add_noise(power, valid, level)
        mel = self._whisper_scale(power, valid)
        return Example(mel, phrase, lead, end)

    def _vary(self, power: np.ndarray) -> np.ndarray:
        rng, strong = self.random, 0.6 * self.strength
        tempo = rng.uniform(0.75, 1.4) if rng.random() < strong else rng.uniform(0.92, 1.1)
        shift = rng.uniform(-0.09, 0.09) if rng.random() < strong else 0.0
        # The tempo never makes a clip longer than the window.
        tempo = max(tempo, power.shape[1] / (FRAMES - 12))
        power = stretch(power, tempo, shift)[:, : FRAMES - 6]
        tilt = self.strength * rng.uniform(-0.5, 0.5)
        return power * (10 ** (tilt * np.linspace(-1, 1, MELS, dtype=np.float32)))[:, None]

    def _add_noise(self, power: np.ndarray, valid: int, level: float) -> None:
        rng = self.random
        if rng.random() < 0.8:
            shape = WHITE if rng.random() < 0.6 else PINK
            shape = (shape / shape.mean()).astype(np.float32)
            decibels = rng.uniform(25 - 20 * self.strength, 50)
            grain = self.numpy.gamma(2.0, 0.5, (MELS, valid)).astype(np.float32)
            power[:, :valid] += shape[:, None] * grain * level * 10 ** (-decibels / 10)
        if rng.random() < 0.35 * self.strength:
            power *= TELEPHONE[:, None] + 1e-9

    def _whisper_scale(self, power: np.ndarray, valid: int) -> np.ndarray:
        rng = self.random
        log = np.log10(np.maximum(power * 10 ** rng.uniform(-3, 1), 1e-10))
        mel = (np.maximum(log, log[:, :valid].max() - 8) + 4) / 4
        mel[:, valid:] = 0  # faster-whisper pads features with zeros, which are not silence
        if rng.random() < 0.5 * self.strength:
            bands, frames = rng.randint(0, 10), rng.randint(0, 8)
            band, frame = rng.randint(0, MELS - bands), rng.randint(0, FRAMES - frames)
            mel[band : band + bands, :valid] = mel[:, :valid].min()
            mel[:, frame : frame + frames] = 0 if rng.random() < 0.5 else mel.min()
        return mel
