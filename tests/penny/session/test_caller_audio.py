"""Where the caller's audio lies on a session's clock."""

from __future__ import annotations

from base64 import b64encode

import pytest

from penny.audio.format import PCM24K, PCMU8K, AudioFormat
from penny.session.caller_audio import CallerAudio


pytestmark = pytest.mark.pure


@pytest.mark.parametrize("form", [PCM24K, PCMU8K])
def test_a_minute_of_frames_is_a_minute_whatever_base64_pads_them_with(form: AudioFormat) -> None:
    audio = CallerAudio(100.0)
    audio.format = form
    piece = b64encode(bytes(form.bytes_of(20))).decode()
    for frame in range(3000):
        audio.take(piece, 100.0 + (frame + 1) * 0.02)
    assert audio.length_ms == pytest.approx(60_000)
    assert audio.arrival_ms(30_000, 0.0) == pytest.approx(30_000, abs=1)


def test_without_audio_everything_is_now() -> None:
    assert CallerAudio(100.0).arrival_ms(5000, 1234.0) == 1234.0
