"""What the callers say: recordings of people where there are some, else eSpeak NG.

Recordings are in nobody's repository. They lie in ``../shared/speech`` beside the checkout; of
these are taken the sentences of at most ``LONGEST_S`` without a pause: a question has one end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penny.audio.resample import Resampler
from penny.audio.wav import read_audio
from tests.bench.pipeline import parts
from tests.doubles.speech import speak


FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "speech"
CHUNK_MS = 20
LONGEST_S = 5.0
LONGEST_GAP_MS = 200
SENTENCES = (
    "¿Cuánto debo de la factura de enero?",
    "Quiero cambiar el número de mi cuenta.",
    "¿Dónde está la oficina más cercana?",
    "Me he quedado sin luz esta mañana.",
    "¿Puedo pagar con tarjeta?",
    "Necesito una copia del contrato.",
)


@dataclass(frozen=True)
class Question:
    """Chunks of ``CHUNK_MS`` from the first loud one to the last loud one."""

    chunks: tuple[bytes, ...]

    @property
    def longest_gap_ms(self) -> int:
        quiet = longest = 0
        for chunk in self.chunks:
            quiet = 0 if parts.is_loud(chunk) else quiet + CHUNK_MS
            longest = max(longest, quiet)
        return longest


def recorded(rate_hz: int) -> list[Question]:
    """The recordings beside the checkout that are one sentence; none where there are none."""
    paths = sorted([*FOLDER.glob("*.wav"), *FOLDER.glob("*.flac")])
    return [one for one in (load(path, rate_hz) for path in paths) if is_one_sentence(one)]


def load(path: Path, rate_hz: int) -> Question:
    """A recording without the silence around it."""
    pcm, own_hz = read_audio(path)
    return cut(_resample(pcm, own_hz, rate_hz), rate_hz)


def is_one_sentence(question: Question) -> bool:
    """Whether it is short and without a pause."""
    seconds = len(question.chunks) * CHUNK_MS / 1000
    return seconds <= LONGEST_S and question.longest_gap_ms <= LONGEST_GAP_MS


def made(rate_hz: int) -> list[Question]:
    return [cut(_resample(speak(text), 24_000, rate_hz), rate_hz) for text in SENTENCES]


def cut(pcm: bytes, rate_hz: int) -> Question:
    size = rate_hz * 2 * CHUNK_MS // 1000
    chunks = [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]
    loud = [index for index, chunk in enumerate(chunks) if parts.is_loud(chunk)]
    return Question(tuple(chunks[loud[0] : loud[-1] + 1]))


def _resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    if from_hz == to_hz:
        return pcm
    resampler = Resampler(from_hz, to_hz)
    return resampler.process(pcm) + resampler.flush()
