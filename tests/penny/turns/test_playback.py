from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from penny.turns.playback import REMEMBERED, Playback, PlaybackPart


def playing(*items: tuple[str, int]) -> Playback:
    """24 kHz playback with these items queued, in milliseconds (48 bytes each)."""
    playback = Playback(24_000)
    for item_id, ms in items:
        assert playback.queue(item_id, 0, ms * 48)
    return playback


def test_what_was_sent_counts_as_heard_while_nobody_reports() -> None:
    playback = playing(("a", 100), ("b", 100))

    assert playback.current() == PlaybackPart("a", 0, 0, 100)
    assert playback.sent(150 * 48) == 150 * 48
    assert (playback.heard_ms("a"), playback.heard_ms("b")) == (100, 50)
    assert playback.current() == PlaybackPart("b", 0, 50, 100)


def test_padding_beyond_the_queue_does_not_count() -> None:
    playback = playing(("a", 100))

    assert playback.sent(120 * 48) == 100 * 48
    assert playback.heard_ms("a") == 100
    assert playback.current() is None


def test_a_report_counts_instead_of_what_was_sent() -> None:
    playback = playing(("a", 1000))
    playback.sent(800 * 48)

    assert playback.report("a", 300) == 300
    assert playback.report("a", 5000) == 800, "nobody hears what was not sent"
    assert playback.report("a", 200) == 800, "playback does not go backwards"
    playback.sent(200 * 48)
    assert playback.heard_ms("a") == 800


def test_a_report_of_the_next_item_means_the_one_before_was_heard() -> None:
    playback = playing(("a", 100), ("b", 100), ("c", 100))
    playback.sent(250 * 48)
    playback.report("a", 40)

    assert (playback.heard_ms("b"), playback.heard_ms("c")) == (0, 0)
    assert playback.report("b", 10) == 10
    assert (playback.heard_ms("a"), playback.heard_ms("c")) == (100, 0)


def test_a_report_that_makes_no_sense_changes_nothing() -> None:
    playback = playing(("a", 100), ("b", 100))
    playback.sent(50 * 48)

    assert playback.report("x", 70) == 0
    assert playback.report("b", 70) == 0, "b was not sent yet"
    assert playback.heard_ms("a") == 50
    assert playback.report("a", -5) == 0


def test_a_report_spans_the_parts_of_an_item() -> None:
    playback = Playback(24_000)
    playback.queue("a", 0, 100 * 48)
    playback.queue("a", 1, 100 * 48)
    playback.queue("b", 0, 100 * 48)
    playback.sent(300 * 48)

    assert playback.report("a", 150) == 150
    assert playback.interrupt() == [PlaybackPart("a", 1, 50, 100), PlaybackPart("b", 0, 0, 100)]


def test_an_interruption_tells_what_was_not_heard_to_its_end() -> None:
    playback = playing(("a", 100), ("b", 100), ("c", 100))
    playback.sent(130 * 48)

    assert playback.interrupt() == [PlaybackPart("b", 0, 30, 100), PlaybackPart("c", 0, 0, 100)]
    assert playback.interrupt() == []
    assert playback.current() is None
    assert [playback.heard_ms(item_id) for item_id in "abc"] == [100, 30, 0]


def test_audio_that_comes_after_its_interruption_is_refused() -> None:
    playback = playing(("a", 100))
    playback.sent(100 * 48)

    assert playback.interrupt() == [], "heard as far as it was generated"
    assert not playback.queue("a", 0, 48)
    assert playback.queue("b", 0, 48)
    assert playback.report("a", 20) == 100


def test_memory_of_the_past_is_bounded() -> None:
    playback = Playback(24_000)
    for n in range(REMEMBERED + 10):
        playback.queue(f"item_{n}", 0, 48)
        playback.sent(48)
    playback.queue("last", 0, 48)

    assert playback.heard_ms("item_0") == 0
    assert playback.heard_ms(f"item_{REMEMBERED + 9}") == 1
    assert len(playback._parts) == 1


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="rate_hz: 0"):
        Playback(0)


class PlaybackKeepsItsOrder(RuleBasedStateMachine):
    """heard <= sent <= queued, whatever arrives in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.playback = Playback(8000)

    @rule(item_id=st.sampled_from("abcd"), index=st.integers(0, 1), n_bytes=st.integers(0, 4000))
    def queue(self, item_id: str, index: int, n_bytes: int) -> None:
        self.playback.queue(item_id, index, n_bytes)

    @rule(n_bytes=st.integers(0, 6000))
    def sent(self, n_bytes: int) -> None:
        waiting = sum(part.queued - part.sent for part in self.playback._parts)
        assert self.playback.sent(n_bytes) == min(n_bytes, waiting)

    @rule(item_id=st.sampled_from("abcde"), played_ms=st.floats(-10, 1000))
    def report(self, item_id: str, played_ms: float) -> None:
        self.playback.report(item_id, played_ms)

    @rule()
    def interrupt(self) -> None:
        known = {part.item_id for part in self.playback._parts}
        for part in self.playback.interrupt():
            assert part.item_id in known
            assert part.heard_ms <= part.generated_ms
        assert not any(self.playback.queue(item_id, 0, 2) for item_id in known)

    @invariant()
    def ordered(self) -> None:
        for part in self.playback._parts:
            assert 0 <= part.heard <= part.sent <= part.queued


TestPlaybackKeepsItsOrder = PlaybackKeepsItsOrder.TestCase
TestPlaybackKeepsItsOrder.settings = settings(max_examples=60, stateful_step_count=30)
