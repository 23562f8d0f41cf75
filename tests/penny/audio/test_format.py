from __future__ import annotations

import base64
from typing import Any

import pytest

from penny.audio.format import PCM16K, PCM24K, PCMA8K, PCMU8K, AudioFormat, count_base64_bytes


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("stream", "ms", "n_bytes"),
    [
        (PCM24K, 20, 960),
        (PCM16K, 32, 1024),
        (PCMU8K, 20, 160),
        (AudioFormat("pcm16", 44100), 10, 882),
    ],
)
def test_milliseconds_and_bytes_convert_both_ways(
    stream: AudioFormat, ms: int, n_bytes: int
) -> None:
    assert stream.bytes_of(ms) == n_bytes
    assert stream.ms_of(n_bytes) == ms
    assert stream.bytes_per_ms == n_bytes / ms


def test_bytes_of_is_always_whole_samples() -> None:
    assert [AudioFormat("pcm16", 22050).bytes_of(ms) for ms in (0, 1, 2.5)] == [0, 44, 110]


@pytest.mark.parametrize("stream", [PCMU8K, PCMA8K])
def test_g711_becomes_pcm16_and_comes_back(stream: AudioFormat) -> None:
    loud, quiet = bytes([0x80]), bytes([0xD5])

    assert len(stream.to_pcm16(loud + quiet)) == 4
    assert stream.from_pcm16(stream.to_pcm16(loud + quiet)) == loud + quiet


def test_mu_law_and_a_law_are_not_the_same() -> None:
    assert PCMU8K.to_pcm16(b"\x10") != PCMA8K.to_pcm16(b"\x10")


def test_pcm16_passes_through() -> None:
    assert PCM24K.to_pcm16(b"ab") == PCM24K.from_pcm16(b"ab") == b"ab"


def test_bad_values_name_field_and_remedy() -> None:
    unknown: Any = "opus"

    with pytest.raises(ValueError, match="encoding: 'opus' is unknown; use pcm16, pcmu, pcma"):
        AudioFormat(unknown, 8000)
    with pytest.raises(ValueError, match="rate_hz: 0 is not a rate"):
        AudioFormat("pcm16", 0)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 160, 960])
def test_the_bytes_behind_base64_are_counted_to_the_byte(size: int) -> None:
    text = base64.b64encode(bytes(size)).decode()
    assert count_base64_bytes(text) == size
    assert PCMU8K.ms_of_base64(text) == size / 8
