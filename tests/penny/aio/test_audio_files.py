"""Audio files decoded by a real child process."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from penny.aio.audio_files import decode
from penny.errors import ProtocolError


pytestmark = pytest.mark.process


def stereo(seconds: float, kind: str = "WAV", rate_hz: int = 44_100) -> bytes:
    """A sine of 440 Hz on the left alone."""
    left = np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz) * 0.5
    file = io.BytesIO()
    soundfile.write(file, np.stack([left, 0 * left], axis=1), rate_hz, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
async def test_any_common_form_is_mono_at_the_rate_asked_for(kind: str) -> None:
    samples = np.frombuffer(await decode(stereo(1.0, kind), 24_000, 60), "<i2")
    assert len(samples) == pytest.approx(24_000, abs=2500)  # MP3 has a lead-in
    tone = samples[6000:18_000].astype(float)
    assert np.abs(np.fft.rfft(tone)).argmax() * 2 == 440
    assert np.sqrt((tone**2).mean()) == pytest.approx(32768 * 0.25 / 2**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no audio"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "no audio"),
        (stereo(2.0, rate_hz=8000), "longer than 1.5 s"),
    ],
)
async def test_what_cannot_be_decoded_is_refused_with_the_reason(
    content: bytes, reason: str
) -> None:
    with pytest.raises(ProtocolError, match=reason) as refused:
        await decode(content, 24_000, 1.5)
    assert refused.value.field == "file"
