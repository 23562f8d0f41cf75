"""G.711 equals the reference that Python 3.11 carried."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from penny.audio import g711


pytestmark = pytest.mark.pure


EVERY_SAMPLE = np.arange(65536, dtype="<u2").tobytes()
EVERY_CODE = bytes(range(256))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("convert", "data", "audioop_sha256"),
    [
        (
            g711.ulaw_encode,
            EVERY_SAMPLE,
            "617fa4850d68d3906597e949f7625fb2fc46db479e29707f33159b3d131721cb",
        ),
        (
            g711.alaw_encode,
            EVERY_SAMPLE,
            "f77c76aa923ee25617453f87514828a12896227f82ff383bf3bb53d6ac7c2a0f",
        ),
        (
            g711.ulaw_decode,
            EVERY_CODE,
            "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827",
        ),
        (
            g711.alaw_decode,
            EVERY_CODE,
            "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174",
        ),
    ],
)
def test_every_value_converts_as_audioop_of_python_3_11_did(
    convert: Callable[[bytes], bytes], data: bytes, audioop_sha256: str
) -> None:
    assert digest(convert(data)) == audioop_sha256


if sys.version_info < (3, 13):  # where audioop still exists, it is asked itself

    def test_every_value_converts_like_the_audioop_at_hand() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import audioop

        assert g711.ulaw_encode(EVERY_SAMPLE) == audioop.lin2ulaw(EVERY_SAMPLE, 2)
        assert g711.alaw_encode(EVERY_SAMPLE) == audioop.lin2alaw(EVERY_SAMPLE, 2)
        assert g711.ulaw_decode(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
        assert g711.alaw_decode(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)


@pytest.mark.parametrize(
    ("encode", "decode"),
    [(g711.ulaw_encode, g711.ulaw_decode), (g711.alaw_encode, g711.alaw_decode)],
)
def test_a_round_trip_stays_within_one_step(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]
) -> None:
    before = np.frombuffer(EVERY_SAMPLE, "<i2").astype(int)
    after = np.frombuffer(decode(encode(EVERY_SAMPLE)), "<i2").astype(int)

    # Steps grow with the level: 1/16 of the segment's size, and a first step of 8 or 16.
    allowed = np.maximum(np.abs(before) / 16, 16)
    assert np.all(np.abs(after - before) <= allowed + 644 * (np.abs(before) > 32123))


@pytest.mark.parametrize("encode", [g711.ulaw_encode, g711.alaw_encode])
def test_half_a_sample_is_refused_with_the_remedy(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match="pcm16: 3 bytes is not a whole number"):
        encode(b"\0\0\0")


def test_nothing_becomes_nothing() -> None:
    assert g711.ulaw_encode(b"") == g711.alaw_decode(b"") == b""
