"""G.711 mu-law and A-law against mono PCM16 little-endian, one table look-up per sample.

The tables are computed once from the segment formulas of ITU-T G.711 and give, byte for byte,
what the ``audioop`` module of Python 3.11 gave (that module is gone since 3.13).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


_Bytes = npt.NDArray[np.uint8]
_Samples = npt.NDArray[np.int16]

_ULAW_BIAS = 0x84
_ULAW_CLIP = 8159
"""Largest 14-bit magnitude that mu-law can carry."""


def _bit_length(magnitude: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    exponent: npt.NDArray[np.int32] = np.frexp(magnitude.astype(np.float64))[1]
    return exponent


def _little_endian(values: npt.NDArray[np.int32]) -> _Samples:
    samples: _Samples = values.astype("<i2")
    return samples


def _ulaw_encode_table() -> _Bytes:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    mask = np.where(sample < 0, 0x7F, 0xFF)
    magnitude = np.minimum(np.abs(sample), _ULAW_CLIP) + (_ULAW_BIAS >> 2)
    segment = _bit_length(magnitude) - 6
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0xF)
    return (np.where(segment >= 8, 0x7F, code) ^ mask).astype(np.uint8)


def _ulaw_decode_table() -> _Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0xF) << 3) + _ULAW_BIAS) << ((code & 0x70) >> 4)
    value = magnitude - _ULAW_BIAS
    return _little_endian(np.where(code & 0x80, -value, value))


def _alaw_encode_table() -> _Bytes:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 3
    mask = np.where(sample < 0, 0x55, 0xD5)
    magnitude = np.where(sample < 0, -sample - 1, sample)
    segment = np.maximum(_bit_length(magnitude) - 5, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 0xF)
    return (code ^ mask).astype(np.uint8)


def _alaw_decode_table() -> _Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code & 0x70) >> 4
    step = ((code & 0xF) << 4) + np.where(segment == 0, 0x8, 0x108)
    value = step << np.maximum(segment - 1, 0)
    return _little_endian(np.where(code & 0x80, value, -value))


_ULAW_ENCODE = _ulaw_encode_table()
_ULAW_DECODE = _ulaw_decode_table()
_ALAW_ENCODE = _alaw_encode_table()
_ALAW_DECODE = _alaw_decode_table()


def _encode(pcm16: bytes, table: _Bytes) -> bytes:
    if len(pcm16) % 2:
        raise ValueError(
            f"pcm16: {len(pcm16)} bytes is not a whole number of 16-bit samples; "
            "keep the odd byte for the next chunk"
        )
    samples: npt.NDArray[np.uint16] = np.frombuffer(pcm16, "<u2")
    return table[samples].tobytes()


def ulaw_encode(pcm16: bytes) -> bytes:
    """PCM16 -> mu-law, one byte a sample. Raises ValueError for an odd number of bytes."""
    return _encode(pcm16, _ULAW_ENCODE)


def ulaw_decode(data: bytes) -> bytes:
    """Mu-law -> PCM16, two bytes a sample."""
    return _ULAW_DECODE[np.frombuffer(data, np.uint8)].tobytes()


def alaw_encode(pcm16: bytes) -> bytes:
    """PCM16 -> A-law, one byte a sample. Raises ValueError for an odd number of bytes."""
    return _encode(pcm16, _ALAW_ENCODE)


def alaw_decode(data: bytes) -> bytes:
    """A-law -> PCM16, two bytes a sample."""
    return _ALAW_DECODE[np.frombuffer(data, np.uint8)].tobytes()
