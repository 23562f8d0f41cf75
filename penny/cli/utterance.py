"""What the caller says next: a file, typed text, or the microphone; and what was heard back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penny.audio.format import PCM24K
from penny.audio.level import rms_dbfs
from penny.audio.resample import Resampler
from penny.audio.wav import read_audio


FORMAT = PCM24K
FRAME_MS = 20
FRAME_BYTES = FORMAT.bytes_of(FRAME_MS)
SILENCE = bytes(FRAME_BYTES)

AUDIBLE_DBFS = -50.0
"""Quieter than this is no voice: eSpeak and XTTS speak at -25 to -18 dBFS."""
AUDIBLE_MS = 200.0
"""Shorter than this is no answer: the shortest spoken word takes about as long."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Either ``pcm`` (24 000 Hz) to speak in real time, or ``text`` to type.

    ``name`` tells a person which one it is.
    """

    name: str
    pcm: bytes = b""
    text: str = ""

    def frames(self) -> Iterator[bytes]:
        """20 ms at a time; the last is filled up with silence."""
        for start in range(0, len(self.pcm), FRAME_BYTES):
            yield self.pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


@dataclass(frozen=True, slots=True)
class Loudness:
    """How long and how loud what was heard is."""

    duration_ms: int
    rms_dbfs: float

    @property
    def audible(self) -> bool:
        return self.duration_ms >= AUDIBLE_MS and self.rms_dbfs >= AUDIBLE_DBFS


@dataclass(frozen=True, slots=True)
class LiveAudio:
    """A microphone and a loudspeaker: ``read`` a frame to send, ``play`` what is heard now."""

    read: Callable[[], bytes]
    play: Callable[[bytes], None]


def read_utterance(path: Path) -> Utterance:
    """Raises FileNotFoundError or ValueError, with words for a person."""
    pcm, rate_hz = read_audio(path)
    if not pcm:
        raise ValueError(f"{path} holds no audio")
    resampler = Resampler(rate_hz, FORMAT.rate_hz)
    return Utterance(str(path), pcm=resampler.process(pcm) + resampler.flush())


def measure(pcm: bytes) -> Loudness:
    return Loudness(round(FORMAT.ms_of(len(pcm))), round(rms_dbfs(pcm), 1))
