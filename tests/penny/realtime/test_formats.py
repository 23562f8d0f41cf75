"""Audio formats of the wire."""

from __future__ import annotations

import pytest

from penny.realtime.formats import count_chars_per_ms


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("audio_format", "chars"),
    [
        (None, 64),
        ({"type": "audio/pcm", "rate": 24000}, 64),
        ({"type": "audio/pcma"}, 32 / 3),
        ({"type": "audio/unknown"}, 64),
    ],
)
def test_base64_of_a_millisecond_is_a_third_longer_than_its_bytes(
    audio_format: dict[str, object] | None, chars: float
) -> None:
    assert count_chars_per_ms(audio_format) == chars
