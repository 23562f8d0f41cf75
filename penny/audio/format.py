"""What the bytes of a mono stream mean: encoding and rate, and bytes <-> milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from penny.audio import g711


Encoding = Literal["pcm16", "pcmu", "pcma"]
"""Linear 16-bit little-endian, G.711 mu-law, G.711 A-law (OpenAI Realtime's own words)."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One mono stream. Raises ValueError for an unknown encoding or a rate that is not positive."""

    encoding: Encoding
    rate_hz: int
    bytes_per_ms: float = field(init=False, repr=False, compare=False)
    """Fractional where the rate is (44 100 Hz: 88.2)."""

    def __post_init__(self) -> None:
        known = get_args(Encoding)
        if self.encoding not in known:
            raise ValueError(f"encoding: {self.encoding!r} is unknown; use {', '.join(known)}")
        if self.rate_hz <= 0:
            raise ValueError(f"rate_hz: {self.rate_hz} is not a rate; use a positive number")
        # Asked for several times a frame.
        object.__setattr__(self, "bytes_per_ms", self.rate_hz * self.sample_bytes / 1000)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.encoding == "pcm16" else 1

    def ms_of(self, n_bytes: int) -> float:
        """Duration of ``n_bytes`` in milliseconds."""
        return n_bytes / self.bytes_per_ms

    def ms_of_base64(self, text: str) -> float:
        """Duration of audio in padded base64: its padding is no audio."""
        return count_base64_bytes(text) / self.bytes_per_ms

    def bytes_of(self, ms: float) -> int:
        """Bytes of ``ms`` milliseconds, to the nearest whole sample."""
        return round(ms * self.rate_hz / 1000) * self.sample_bytes

    def to_pcm16(self, data: bytes) -> bytes:
        """``data`` in this encoding -> PCM16 at the same rate."""
        if self.encoding == "pcm16":
            return data
        return g711.ulaw_decode(data) if self.encoding == "pcmu" else g711.alaw_decode(data)

    def from_pcm16(self, pcm16: bytes) -> bytes:
        """PCM16 at this rate -> this encoding. Raises ValueError for half a sample (G.711)."""
        if self.encoding == "pcm16":
            return pcm16
        return g711.ulaw_encode(pcm16) if self.encoding == "pcmu" else g711.alaw_encode(pcm16)


def count_base64_bytes(text: str) -> int:
    """Bytes that padded base64 stands for, without decoding it."""
    return max(0, len(text) * 3 // 4 - text.count("=", -2))


PCM24K = AudioFormat("pcm16", 24_000)
"""What Penny carries inside: OpenAI Realtime's ``audio/pcm``."""
PCM16K = AudioFormat("pcm16", 16_000)
"""What speech detection and transcription hear."""
PCMU8K = AudioFormat("pcmu", 8_000)
PCMA8K = AudioFormat("pcma", 8_000)
