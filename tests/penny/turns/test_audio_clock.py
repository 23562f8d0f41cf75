from __future__ import annotations

import pytest

from penny.turns.audio_clock import AudioClock


pytestmark = pytest.mark.pure


def test_a_position_is_answered_with_the_arrival_that_brought_it() -> None:
    clock = AudioClock()
    for n in range(1, 6):
        clock.mark(n * 20, 100 + n * 0.02)

    assert clock.at(20) == pytest.approx(100.02, abs=0.0003)
    assert clock.at(20.5) == clock.at(40) == pytest.approx(100.04, abs=0.0003)
    assert clock.at(0) == 100.02


def test_a_position_not_yet_arrived_is_answered_with_the_newest_mark() -> None:
    clock = AudioClock()
    clock.mark(20, 7.0)

    assert clock.at(500) == 7.0


def test_memory_is_bounded_and_the_newest_marks_are_kept() -> None:
    clock = AudioClock(capacity=10)
    for n in range(1, 1000):
        clock.mark(n, float(n))
        assert len(clock._times_s) == len(clock._positions_ms) < 20

    assert [clock.at(n) for n in range(990, 1000)] == [float(n) for n in range(990, 1000)]
    assert clock.at(1) > 900


def test_two_arrivals_at_one_position_answer_with_the_first() -> None:
    clock = AudioClock()
    clock.mark(20, 1.0)
    clock.mark(20, 2.0)

    assert clock.at(20) == 1.0


def test_misuse_is_told() -> None:
    clock = AudioClock()

    with pytest.raises(LookupError, match="no audio was marked"):
        clock.at(0)
    clock.mark(40, 1.0)
    with pytest.raises(ValueError, match="position_ms: 20 lies before 40"):
        clock.mark(20, 2.0)
    with pytest.raises(ValueError, match="capacity: 0"):
        AudioClock(0)
