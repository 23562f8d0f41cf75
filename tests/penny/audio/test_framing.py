from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.audio.framing import Framer


pytestmark = pytest.mark.pure


@given(st.integers(1, 50), st.lists(st.binary(max_size=120), max_size=20))
def test_audio_is_conserved_and_frames_have_one_size(frame_bytes: int, chunks: list[bytes]) -> None:
    framer = Framer(frame_bytes)

    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]

    assert all(len(frame) == frame_bytes for frame in frames)
    assert len(framer) < frame_bytes
    assert b"".join(frames) + framer.drain() == b"".join(chunks)
    assert len(framer) == 0


def test_a_frame_leaves_with_its_last_byte() -> None:
    framer = Framer(4)

    assert framer.feed(b"abc") == []
    assert framer.feed(b"d") == [b"abcd"]
    assert framer.feed(b"efghijk") == [b"efgh"]
    assert len(framer) == 3
    assert framer.drain() == b"ijk"


def test_a_frame_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="frame_bytes: 0 is too small"):
        Framer(0)
