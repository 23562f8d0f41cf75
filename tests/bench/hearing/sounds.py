"""What the bench of hearing plays: people's sentences on a telephone, and what is around them.

Recordings are in nobody's repository. Callers are those of ``../shared/speech`` (``texts.json``
says their words); the talkers of the babble are people of other recordings, French, Italian and
Russian telephone prompts, and music is people's, where Debian's ``asterisk-core-sounds-*-wav``
and ``asterisk-moh-opsound-wav`` are unpacked (``PROMPTS``). Traffic is made: no recording of a
street was at hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from penny.audio.resample import Resampler
from penny.audio.wav import read_audio
from tests.bench.pipeline.speech import FOLDER


RATE_HZ: Final = 16_000
SPEECH_DBFS: Final = -26.0
"""Active level of every caller, the nominal one of telephony (ITU-T P.56)."""
PROMPTS: Final = Path("/usr/share/asterisk")
TALKERS: Final = ("fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
LOUD_DB: Final = -25.0
"""Below a clip's loudest 20 ms; what is softer is a pause and counts for no level."""
TICK: Final = RATE_HZ // 50
GAP_S: Final = 10.0

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence of a person: samples at 16 kHz in the telephone band, and its words."""

    name: str
    samples: Samples
    text: str

    @property
    def language(self) -> str:
        return self.name.partition("_")[0]


def clips(folder: Path = FOLDER) -> list[Clip]:
    """The callers. Raises FileNotFoundError where the recordings are not there."""
    texts = json.loads(Path(__file__).with_name("texts.json").read_text(encoding="utf-8"))
    found = []
    for name, text in texts.items():
        path = next(iter(folder.glob(f"{name}.*")), None)
        if path is None:
            raise FileNotFoundError(f"{folder}: no recording called {name}")
        found.append(Clip(name, at_level(telephone(path), SPEECH_DBFS), text))
    return found


def telephone(path: Path) -> Samples:
    """A file as a line of 8 kHz brings it, at 16 kHz."""
    pcm, rate_hz = read_audio(path)
    if rate_hz != 8000:
        pcm = _convert(pcm, rate_hz, 8000)
    return np.frombuffer(_convert(pcm, 8000, RATE_HZ), "<i2").astype(np.float64)


def _convert(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    resampler = Resampler(from_hz, to_hz)
    return resampler.process(pcm) + resampler.flush()


def loud_ticks(samples: Samples) -> npt.NDArray[np.bool_]:
    """Which 20 ms of a clean clip are speech."""
    power = (samples[: len(samples) // TICK * TICK].reshape(-1, TICK) ** 2).mean(axis=1)
    loud: npt.NDArray[np.bool_] = power > power.max() * 10 ** (LOUD_DB / 10)
    return loud


def at_level(samples: Samples, dbfs: float) -> Samples:
    """At an active level: pauses count for nothing."""
    ticks = samples[: len(samples) // TICK * TICK].reshape(-1, TICK)
    rms = float(np.sqrt((ticks[loud_ticks(samples)] ** 2).mean()))
    return samples * (32768 * 10 ** (dbfs / 20) / rms)


# -- what is around ---------------------------------------------------------------------------


def noise(
    kind: str, seconds: float, dbfs: float, prompts: Path = PROMPTS, seed: int = 1
) -> Samples:
    """``kind``: babble, street, music; ``dbfs``: its level over all."""
    make = {"babble": _babble, "street": _street, "music": _music}[kind]
    made = make(round(seconds * RATE_HZ), prompts, np.random.default_rng(seed))
    scaled: Samples = made * (32768 * 10 ** (dbfs / 20) / np.sqrt((made**2).mean()))
    return scaled


def _babble(length: int, prompts: Path, rng: np.random.Generator) -> Samples:
    """Ten talkers, each a chain of prompts with short pauses."""
    files = [sorted((prompts / "sounds" / one).glob("*.wav")) for one in TALKERS]
    files = [[path for path in some if path.stat().st_size > 40_000] for some in files]
    if not all(files):
        raise FileNotFoundError(f"{prompts}: no telephone prompts of {', '.join(TALKERS)}")
    mixed = np.zeros(length)
    for talker in range(10):
        at = -int(rng.integers(3 * RATE_HZ))
        while at < length:
            path = files[talker % 3][int(rng.integers(len(files[talker % 3])))]
            one = at_level(telephone(path), SPEECH_DBFS)
            one = np.interp(
                np.arange(0, len(one), rng.uniform(0.88, 1.15)), np.arange(len(one)), one
            )
            begin, end = max(at, 0), min(at + len(one), length)
            if begin < end:
                mixed[begin:end] += one[begin - at : end - at] * 10 ** (rng.uniform(-4, 4) / 20)
            at += len(one) + int(rng.integers(RATE_HZ // 2))
    return mixed


def _street(length: int, _prompts: Path, rng: np.random.Generator) -> Samples:
    """Traffic, made: tyres (broad noise that swells as each car passes), engines (harmonics of
    30 to 90 Hz), now and then a horn of two tones."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    spectrum *= (hz > 60) / np.sqrt(np.maximum(hz, 100)) / (1 + (hz / 1500) ** 2)
    tyres = np.fft.irfft(spectrum, length)
    tyres /= tyres.std()
    at = np.arange(length) / RATE_HZ
    mixed = 0.4 * tyres
    for _ in range(max(2, int(at[-1] / 4))):
        middle, wide = rng.uniform(0, at[-1]), rng.uniform(0.8, 2.5)
        near = np.exp(-0.5 * ((at - middle) / wide) ** 2)
        pitch = np.cumsum(rng.uniform(30, 90) * (1 - 0.03 * np.tanh(at - middle))) / RATE_HZ
        engine = sum(np.sin(2 * np.pi * n * pitch) / n for n in range(3, 20))
        mixed += near * (1.2 * tyres + 0.6 * engine)
    for _ in range(int(at[-1] / 15) + 1):
        begin, lasts = rng.uniform(0, at[-1]), rng.uniform(0.2, 0.6)
        sounding = (at >= begin) & (at < begin + lasts)
        mixed += sounding * sum(np.sin(2 * np.pi * hz * at) for hz in (410, 515, 820, 1030))
    return mixed


def _music(length: int, prompts: Path, rng: np.random.Generator) -> Samples:
    files = sorted((prompts / "moh").glob("*.wav"))
    if not files:
        raise FileNotFoundError(f"{prompts}: no music on hold")
    piece = telephone(files[int(rng.integers(len(files)))])
    at = int(rng.integers(max(1, len(piece) - length)))
    return np.resize(piece[at:], length)


def to_pcm(samples: Samples) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
