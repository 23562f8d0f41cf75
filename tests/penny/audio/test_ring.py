from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.audio.ring import PreRoll


pytestmark = pytest.mark.pure


@given(st.integers(1, 50), st.lists(st.binary(max_size=300).map(lambda b: b * 2), max_size=20))
def test_the_newest_audio_is_kept_and_memory_is_bounded(keep_ms: int, chunks: list[bytes]) -> None:
    ring, fed = PreRoll(keep_ms, 8000), b""
    for chunk in chunks:
        ring.feed(chunk)
        fed += chunk

        assert ring.last(keep_ms) == fed[-keep_ms * 16 :]
        assert ring.held_ms <= 2 * keep_ms


def test_what_is_older_than_twice_the_limit_is_dropped() -> None:
    ring = PreRoll(10, 8000)
    for number in range(5):
        ring.feed(bytes([number]) * 160)

    assert ring.held_ms == 10
    assert ring.last(10) == bytes([4]) * 160


def test_last_gives_whole_samples_and_never_more_than_asked() -> None:
    ring = PreRoll(100, 22050)
    ring.feed(bytes(range(200)))

    assert ring.last(1) == bytes(range(156, 200))
    assert ring.last(0) == b""
    assert ring.last(1000) == bytes(range(200))
    assert ring.held_ms == pytest.approx(200 / 44.1)


def test_clear_forgets_everything() -> None:
    ring = PreRoll(100, 16000)
    ring.feed(b"ab")
    ring.clear()

    assert ring.last(100) == b""
    assert ring.held_ms == 0
