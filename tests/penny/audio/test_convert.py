from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.audio.convert import Converter
from penny.audio.format import PCM16K, PCM24K, PCMA8K, PCMU8K, AudioFormat


pytestmark = pytest.mark.pure


FORMATS = (PCM16K, PCM24K, PCMU8K, PCMA8K, AudioFormat("pcm16", 8000))
formats = st.sampled_from(FORMATS)


@given(formats, formats, st.binary(max_size=2000), st.integers(0, 2000))
def test_any_cutting_gives_the_same_bytes(
    src: AudioFormat, dst: AudioFormat, data: bytes, cut: int
) -> None:
    whole, halves = Converter(src, dst), Converter(src, dst)

    expected = whole.process(data) + whole.flush()
    actual = halves.process(data[:cut]) + halves.process(data[cut:]) + halves.flush()

    assert actual == expected


@pytest.mark.parametrize("src", FORMATS)
@pytest.mark.parametrize("dst", FORMATS)
def test_20_ms_in_is_20_ms_out(src: AudioFormat, dst: AudioFormat) -> None:
    assert len(Converter(src, dst).process(bytes(src.bytes_of(20)))) == dst.bytes_of(20)


def test_a_phone_call_survives_the_way_in_and_out() -> None:
    at = np.arange(8000) / 8000
    tone = np.rint(8000 * np.sin(2 * np.pi * 1000 * at)).astype("<i2").tobytes()
    inward, outward = Converter(PCMU8K, PCM24K), Converter(PCM24K, PCMU8K)

    back = PCMU8K.to_pcm16(outward.process(inward.process(PCMU8K.from_pcm16(tone))))
    spectrum = np.abs(np.fft.rfft(np.frombuffer(back, "<i2")[400:7600].astype(float)))

    assert inward.delay_ms == outward.delay_ms == 1.5
    assert spectrum.argmax() == 900
    assert spectrum[900] / 3600 == pytest.approx(8000, rel=0.03)


def test_the_same_g711_passes_untouched() -> None:
    assert Converter(PCMU8K, PCMU8K).process(b"\x7f") == b"\x7f"
    assert PCMU8K.from_pcm16(PCMU8K.to_pcm16(b"\x7f")) == b"\xff"
