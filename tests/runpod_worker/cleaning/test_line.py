"""A line through a cleaner: as many frames out as in, raw where it must be, on a test's clock."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from runpod_worker.cleaning.budget import Budget, Cost
from runpod_worker.cleaning.line import REST_MS, CleanLine
from tests.runpod_worker.cleaning.doubles import CLEAN, RAW, Clock, TimedCleaner


pytestmark = pytest.mark.pure

CALLS = 20
SECONDS = 3
LATE_MS = 10.0
"""All calls' frames of one moment are due before the next moment's."""


class Lines:
    """Some calls of one worker and one core."""

    def __init__(self, calls: int, frame_ms: float = 1.23, budget_ms: float = 400) -> None:
        self.clock = Clock()
        self.cleaner = TimedCleaner(self.clock, frame_ms)
        self.budget = Budget(budget_ms)
        cost = Cost(self.cleaner.info.cpu_ms_per_s)
        self.lines = [CleanLine(self.cleaner, self.budget, cost, self.clock) for _ in range(calls)]

    def moment(self) -> tuple[int, float]:
        """10 ms of every call: how many were cleaned, and the ms it took."""
        began_s = self.clock.now_s
        cleaned = sum(line.process(RAW, wanted=True) == CLEAN for line in self.lines)
        return cleaned, (self.clock.now_s - began_s) * 1000


def test_twenty_calls_bypass_by_themselves_without_a_late_frame() -> None:
    calls = Lines(CALLS)
    with capture_logs() as logs:
        moments = [calls.moment() for _ in range(SECONDS * 100)]
    assert max(ms for _, ms in moments) <= LATE_MS
    assert {cleaned for cleaned, _ in moments[-100:]} == {3}  # 3 x 123 ms of 400
    assert calls.budget.bypassed == len(logs) == CALLS - 3
    assert {log["event"] for log in logs} == {"sound_not_cleaned"}


def test_a_machine_that_becomes_slow_leaves_more_calls_raw_within_a_second() -> None:
    calls = Lines(4, frame_ms=0.9)
    assert calls.moment()[0] == 4
    calls.cleaner.frame_ms = 3.0
    moments = [calls.moment() for _ in range(100)]
    assert moments[-1][0] == 1


def test_a_call_left_raw_asks_again_after_its_rest_and_is_told_of_once() -> None:
    calls = Lines(2, frame_ms=1.0, budget_ms=100)
    first, second = calls.lines
    with capture_logs() as logs:
        assert calls.moment()[0] == 1
        first.close()
        rest = [second.process(RAW, wanted=True) for _ in range(REST_MS // 10 + 1)]
    assert set(rest[:-2]) == {RAW}
    assert rest[-1] == CLEAN
    assert len(logs) == calls.budget.bypassed == 1


def test_a_cleaner_that_breaks_lets_the_very_frame_through_and_is_not_tried_again() -> None:
    calls = Lines(1)
    line = calls.lines[0]
    assert line.process(RAW * 2, wanted=True) == CLEAN * 2
    calls.cleaner.breaks = True
    with capture_logs() as logs:
        assert line.process(RAW * 2, wanted=True) == RAW * 2
        calls.cleaner.breaks = False
        assert line.process(RAW, wanted=True) == RAW
    assert [log["event"] for log in logs] == ["cleaner_failed"]
    assert (calls.budget.failed, calls.budget.active) == (1, 0)


def test_a_cleaner_that_does_not_open_costs_no_place() -> None:
    calls = Lines(1)
    calls.cleaner.opens_broken = True
    assert calls.lines[0].process(RAW, wanted=True) == RAW
    assert (calls.budget.failed, calls.budget.active) == (1, 0)


def test_pieces_of_frames_are_kept_until_they_are_whole() -> None:
    line = Lines(1).lines[0]
    assert line.process(RAW[:100], wanted=True) == b""
    assert line.process(RAW[100:] + RAW[:6], wanted=True) == CLEAN
    assert line.process(RAW[6:], wanted=False) == RAW
    assert not line.is_on
