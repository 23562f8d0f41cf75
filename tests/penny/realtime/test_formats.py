"""Audio formats of the wire."""

from __future__ import annotations

import pytest

from penny.audio.format import PCM24K, PCMA8K, AudioFormat
from penny.realtime.formats import read_format


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("audio_format", "wire"),
    [
        (None, PCM24K),
        ({"type": "audio/pcm", "rate": 24000}, PCM24K),
        ({"type": "audio/pcma"}, PCMA8K),
        ({"type": "audio/unknown"}, PCM24K),
    ],
)
def test_a_format_is_read_as_the_wire_has_it(
    audio_format: dict[str, object] | None, wire: AudioFormat
) -> None:
    assert read_format(audio_format) == wire
