"""What makes a caller's sound cleaner, as Protocols: one frame in, one frame out.

A frame is 10 ms of mono PCM16 little-endian at 16 000 Hz. What comes out is later than what went
in by ``delay_ms``; nothing else of its timing changes, so a frame that is let through raw in the
place of a cleaned one is a click at worst, never a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from runpod_worker.stages import STT_RATE_HZ


FRAME_MS: Final = 10
FRAME_SAMPLES: Final = STT_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES: Final = FRAME_SAMPLES * 2


@dataclass(frozen=True, slots=True)
class CleanerInfo:
    """What a cleaner is and costs, as ``check`` tells it.

    ``cpu_ms_per_s``: processor time of one call for a second of sound, of one core of a server
    with AVX-512. ``license``: of code and weights, and what is open about it.
    """

    name: str
    delay_ms: int
    cpu_ms_per_s: int
    license: str


class CleanStream(Protocol):
    """One caller's sound, frame by frame; remembers the noise so far."""

    def process(self, frame: bytes) -> bytes:
        """The next frame. Raises EngineError; the stream is of no use then."""
        ...


class Cleaner(Protocol):
    """An engine that takes noise out; makes a stream for each caller."""

    info: CleanerInfo

    def open(self) -> CleanStream: ...


def to_float(pcm: bytes) -> npt.NDArray[np.float32]:
    """PCM16 as float32 in [-1, 1)."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


def to_pcm16(samples: npt.NDArray[np.float32]) -> bytes:
    """float32 as PCM16; what is too loud is clipped."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()
