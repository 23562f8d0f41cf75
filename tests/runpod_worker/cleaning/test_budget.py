"""How many calls are cleaned: as many as fit, at what a frame costs here and now."""

from __future__ import annotations

import pytest

from runpod_worker.cleaning.budget import Budget, Cost


pytestmark = pytest.mark.pure


def test_calls_are_taken_while_they_fit_and_again_when_one_has_left() -> None:
    budget = Budget(400)
    assert [budget.enter(123) for _ in range(5)] == [True, True, True, False, False]
    budget.leave()
    assert budget.enter(123)


def test_calls_that_became_dearer_do_not_fit_any_more() -> None:
    budget = Budget(400)
    assert all(budget.enter(100) for _ in range(4))
    assert budget.holds(100)
    assert not budget.holds(101)


def test_the_cost_of_a_frame_moves_to_what_is_measured_and_a_hiccup_hardly_moves_it() -> None:
    cost = Cost(100)
    cost.note(300)
    assert cost.ms_per_s == pytest.approx(118)
    for _ in range(300):
        cost.note(3)
    assert cost.ms_per_s == pytest.approx(300, rel=0.01)
