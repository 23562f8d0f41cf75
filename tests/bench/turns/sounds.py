"""What is heard on a caller's line: people, their backchannels, a room. PCM16 at 24 000 Hz.

Recordings of people are taken from ``../shared/speech`` beside the checkout (they are in nobody's
repository); where there are none, and for what nobody recorded, eSpeak NG speaks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.bench.pipeline import speech
from tests.doubles.speech import speak


RATE_HZ = 24_000
TICK_MS = 20
TICK = RATE_HZ * TICK_MS // 1000
LEVEL_DBFS = -26.0
"""A caller's speech: the active level that telephone standards assume."""

Samples = npt.NDArray[np.float64]

BACKCHANNELS = (
    "ajá", "sí", "vale", "mmm", "claro", "ya", "de acuerdo", "okey", "bueno", "sí sí",
    "uh-huh", "right", "okay", "yeah",
)  # fmt: skip


WRITTEN = "written.json"
"""Of a folder of recordings: what Whisper base wrote of each, whole and of its two halves."""
OWN = Path(__file__).with_name(WRITTEN)
"""The same of ``../shared/speech``, in which nothing is written."""


@dataclass(frozen=True)
class Said:
    """Someone's speech; ``text`` as a recogniser writes it, ``parts`` as it writes the halves."""

    samples: Samples
    text: str
    parts: tuple[str, str] = ("Quiero cambiar mi contrato.", "De la casa.")

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE_HZ


def at_level(samples: Samples, dbfs: float) -> Samples:
    """The same with its loud parts at ``dbfs`` (RMS over what is within 25 dB of its peak)."""
    frames = samples[: len(samples) // TICK * TICK].reshape(-1, TICK)
    power = (frames**2).mean(axis=1)
    active = power[power > power.max() / 316]
    return samples * (32768 * 10 ** (dbfs / 20) / np.sqrt(active.mean()))


def samples_of(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


@cache
def sentences() -> tuple[Said, ...]:
    """Whole sentences: of people where there are recordings, else made."""
    beside = speech.FOLDER / WRITTEN
    written = json.loads((beside if beside.exists() else OWN).read_text(encoding="utf-8"))
    found = [
        (speech.load(path, RATE_HZ), *texts)
        for stem, texts in written.items()
        for path in speech.FOLDER.glob(f"{stem}.*")
    ]
    if not found:
        whole = "Quiero cambiar mi contrato."
        found = [(one, whole, whole, "De la casa.") for one in speech.made(RATE_HZ)]
    return tuple(
        Said(at_level(samples_of(b"".join(one.chunks)), LEVEL_DBFS), text, (first, second))
        for one, text, first, second in found
    )


@cache
def spoken(text: str, *, voice: str = "marin", speed: float = 1.0) -> Said:
    language = "en" if text in BACKCHANNELS[10:] else "es"
    pcm = b"".join(speech.cut(speak(text, language, voice, speed), RATE_HZ).chunks)
    return Said(at_level(samples_of(pcm), LEVEL_DBFS), text)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ))


def halves_of(samples: Samples) -> tuple[Samples, Samples]:
    """A sentence cut where it is quietest, between a third and two thirds of its length."""
    frames = samples[: len(samples) // TICK * TICK].reshape(-1, TICK)
    power = (frames**2).mean(axis=1)
    low, high = len(power) // 3, len(power) * 2 // 3
    at = (low + int(np.argmin(power[low:high]))) * TICK
    return samples[:at], samples[at:]


def babble(seconds: float, talkers: int = 10, seed: int = 1) -> Samples:
    """Many people at once, as in an office; its level is that of one caller."""
    rng = np.random.default_rng(seed)
    mixed = silence(seconds)
    for _ in range(talkers):
        at = -int(rng.integers(RATE_HZ * 3))
        while at < len(mixed):
            one = sentences()[int(rng.integers(len(sentences())))].samples
            stretched = np.interp(
                np.arange(0, len(one), rng.uniform(0.85, 1.2)), np.arange(len(one)), one
            )
            begin, end = max(at, 0), min(at + len(stretched), len(mixed))
            if begin < end:
                mixed[begin:end] += stretched[begin - at : end - at]
            at += len(stretched) + int(rng.integers(RATE_HZ // 2))
    return at_level(mixed, LEVEL_DBFS)


def noises(seed: int) -> Samples:
    """Sounds that are nobody's: a knock, keys, a cough of noise, a tone."""
    rng = np.random.default_rng(seed)
    kind = seed % 4
    if kind == 0:
        knock = rng.normal(size=RATE_HZ // 8) * np.exp(-np.arange(RATE_HZ // 8) / 500)
        made = np.concatenate([knock, silence(0.25), knock])
    elif kind == 1:
        made = silence(1.2)
        for at in rng.integers(0, len(made) - 300, 14):
            made[at : at + 300] += rng.normal(size=300) * np.exp(-np.arange(300) / 60)
    elif kind == 2:
        rise = np.hanning(RATE_HZ // 3)
        low = np.convolve(rng.normal(size=len(rise)), np.ones(8) / 8, "same")
        made = np.concatenate([low * rise, silence(0.1), low * rise * 0.7])
    else:
        made = np.sin(np.arange(RATE_HZ) * 2 * np.pi * 425 / RATE_HZ)
    return at_level(made, LEVEL_DBFS)


def room(gain_db: float, seed: int) -> Samples:
    """The impulse response of a line that gives a voice back: a direct path and 40 ms after it."""
    rng = np.random.default_rng(seed)
    path = rng.normal(size=RATE_HZ // 25) * np.exp(-np.arange(RATE_HZ // 25) / 180) * 0.25
    path[0] = 1.0
    scaled: Samples = path * (10 ** (gain_db / 20) / np.sqrt((path**2).sum()))
    return scaled
