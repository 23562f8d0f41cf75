"""Streaming rate conversion of mono PCM16: one frame in, one frame out.

A polyphase FIR with 24 taps at the lower of the two rates (Kaiser window). Its group delay is 12
samples of that rate: 1.5 ms at 8 kHz, 0.75 ms at 16 kHz, 0.5 ms at 24 kHz. Nothing else is held
back, so 20 ms in gives exactly 20 ms out. Flat to 0.75 of the lower rate's Nyquist frequency,
-60 dB or better from 1.15 of it.

Coefficients are integers held in float64: every product sum is exact, so the order in which BLAS
adds does not matter and any cutting of the input gives the same bytes.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import Final

import numpy as np
import numpy.typing as npt


_Floats = npt.NDArray[np.float64]

TAPS: Final = 24
"""Filter length in samples of the lower rate: the trade between delay and steepness."""
_CUTOFF: Final = 0.95
"""-6 dB point, relative to the lower rate's Nyquist frequency."""
_KAISER_BETA: Final = 6.2
"""About 65 dB of stop band."""
_UNITY: Final = 1 << 20
"""Integer coefficients of each phase sum to this: 16 + 20 bits and their sums stay below 2**53."""
_MAX_TABLE: Final = 1_000_000
"""Largest coefficient table (8 MB); only rates with hardly a common divisor exceed it."""
_PIECE: Final = 16_384
"""Samples converted at a time: a whole file in one chunk does not cost gigabytes."""


class _Bank:
    """The filter of one pair of rates: ``down`` samples in give ``up`` samples out."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        common = gcd(from_hz, to_hz)
        self.up = to_hz // common
        self.down = from_hz // common
        length = TAPS * max(self.up, self.down)
        self.taps = ceil((length + 1) / self.up)
        self.window = self.down + self.taps - 1
        if self.window * self.up > _MAX_TABLE:
            raise ValueError(
                f"from_hz, to_hz: {from_hz} -> {to_hz} Hz share no useful divisor; "
                "use rates like 8000, 16000, 22050, 24000, 44100, 48000"
            )
        self.delay_in = ceil(length / 2 / self.up)
        self.matrix = self._spread(self._phases(length))

    def _phases(self, length: int) -> _Floats:
        """Coefficients by phase, shape (up, taps), newest sample first."""
        at = np.arange(length + 1) - length / 2
        ideal = np.sinc(at * _CUTOFF / max(self.up, self.down))
        prototype = np.zeros(self.taps * self.up)
        prototype[: length + 1] = ideal * np.kaiser(length + 1, _KAISER_BETA)
        phases = prototype.reshape(self.taps, self.up).T
        whole: _Floats = np.rint(phases * (_UNITY / phases.sum(axis=1, keepdims=True)))
        # The same gain at 0 Hz in every phase, exactly: otherwise a constant would hum.
        largest = np.argmax(whole, axis=1)
        whole[np.arange(self.up), largest] += _UNITY - whole.sum(axis=1)
        return whole

    def _spread(self, phases: _Floats) -> _Floats:
        """Matrix (window, up): ``down + taps - 1`` samples in order -> ``up`` samples."""
        matrix = np.zeros((self.window, self.up))
        for n in range(self.up):
            newest = n * self.down // self.up + self.taps - 1
            phase = n * self.down % self.up
            matrix[newest - self.taps + 1 : newest + 1, n] = phases[phase, ::-1]
        return matrix


@lru_cache(maxsize=32)
def _bank(from_hz: int, to_hz: int) -> _Bank:
    return _Bank(from_hz, to_hz)


class Resampler:
    """Converts one stream; keep one per direction.

    Args:
        from_hz: rate of what comes in.
        to_hz: rate of what goes out. Equal rates pass samples through untouched.

    Raises:
        ValueError: a rate is not positive, or the pair has no usable common divisor.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        for field, rate_hz in (("from_hz", from_hz), ("to_hz", to_hz)):
            if rate_hz <= 0:
                raise ValueError(f"{field}: {rate_hz} is not a rate; use a positive number")
        self._bank = None if from_hz == to_hz else _bank(from_hz, to_hz)
        self.delay_ms: float = 0.0 if self._bank is None else TAPS / 2 / min(from_hz, to_hz) * 1000
        self._reset()

    def _reset(self) -> None:
        self.half = b""
        """Half a sample that waits for its other half."""
        self._given = 0
        """Samples of the current block of ``up`` that were given out already."""
        self._held: _Floats = np.zeros(0 if self._bank is None else self._bank.taps - 1)
        """The current block's input so far, behind ``taps - 1`` samples of what came before."""

    def process(self, pcm16: bytes) -> bytes:
        """Convert a chunk of any length. Half a sample waits for its other half."""
        if self.half:
            pcm16 = self.half + pcm16
        if len(pcm16) % 2:
            self.half, pcm16 = pcm16[-1:], pcm16[:-1]
        elif self.half:
            self.half = b""
        if self._bank is None or not pcm16:
            return pcm16
        samples = np.frombuffer(pcm16, "<i2")
        if samples.size <= _PIECE:
            return self._convert(self._bank, samples)
        pieces = range(0, samples.size, _PIECE)
        return b"".join(self._convert(self._bank, samples[at : at + _PIECE]) for at in pieces)

    def flush(self) -> bytes:
        """The group delay's worth of audio still inside the filter; then the stream starts anew.

        Half a sample that never got its other half is dropped.
        """
        bank = self._bank
        tail = b"" if bank is None else self._convert(bank, np.zeros(bank.delay_in, np.int16))
        self._reset()
        return tail

    def _convert(self, bank: _Bank, samples: npt.NDArray[np.int16]) -> bytes:
        history = bank.taps - 1
        held: _Floats = np.concatenate((self._held, samples))
        arrived = held.size - history
        done, rest = divmod(arrived, bank.down)
        blocks = done + (rest > 0)
        # Output n needs input up to n * down // up: the part of a block that can be told already.
        total = done * bank.up + -(-rest * bank.up // bank.down)
        padded = held if not rest else np.concatenate((held, np.zeros(bank.down - rest)))
        # Overlapping windows, one per block, without copying; ndarray checks the bounds.
        windows: _Floats = np.ndarray(
            shape=(blocks, bank.window),
            dtype=np.float64,
            buffer=padded,
            strides=(bank.down * padded.itemsize, padded.itemsize),
        )
        exact = np.ascontiguousarray(windows) @ bank.matrix
        exact *= 1 / _UNITY
        np.rint(exact, out=exact)
        np.clip(exact, -32768, 32767, out=exact)
        out = exact.astype("<i2").reshape(-1)[self._given : total]
        self._given = total - done * bank.up
        self._held = held[done * bank.down :].copy()
        return out.tobytes()
