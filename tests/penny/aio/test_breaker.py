"""When a server that fails is left alone, and when it is tried again."""

from __future__ import annotations

import pytest

from penny.aio.breaker import CircuitBreaker


pytestmark = pytest.mark.pure


def two_of_five() -> CircuitBreaker:
    return CircuitBreaker(2, 10.0, window=5)


def opened(at_s: float = 0.0) -> CircuitBreaker:
    breaker = two_of_five()
    assert not breaker.failed(at_s)
    assert breaker.failed(at_s)
    return breaker


def test_two_failures_of_five_calls_open_it() -> None:
    breaker = two_of_five()
    breaker.failed(0.0)
    for _ in range(5):
        breaker.succeeded()
    assert not breaker.failed(1.0), "the first one is six calls ago"
    breaker.succeeded()
    assert breaker.failed(1.0)

    assert not breaker.allows(1.0)
    assert breaker.opened == 1


def test_without_a_window_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker(2, 10.0)
    for _ in range(3):
        assert not breaker.failed(0.0)
        breaker.succeeded()
    assert not breaker.failed(0.0)
    assert breaker.failed(0.0)


def test_one_trial_is_let_through_after_the_rest() -> None:
    breaker = opened(at_s=5)

    assert breaker.state(14.9) == "open"
    assert not breaker.allows(14.9)
    assert breaker.state(15) == "half_open"
    assert breaker.allows(15)
    assert not breaker.allows(16), "one trial at a time"


def test_a_good_trial_closes_it_and_a_bad_one_costs_another_rest() -> None:
    breaker = opened()
    assert breaker.allows(10)
    breaker.failed(11)
    assert not breaker.allows(20)
    assert breaker.allows(21)
    breaker.succeeded()

    assert breaker.state(21) == "closed"
    breaker.failed(22)
    assert breaker.allows(22), "what was before the rest is forgotten"
    assert breaker.opened == 2


def test_rests_double_up_to_the_longest() -> None:
    breaker = CircuitBreaker(1, 10.0, 15.0)
    breaker.failed(0.0)
    assert breaker.allows(10.0)
    breaker.failed(10.0)
    assert not breaker.allows(24.9)
    assert breaker.allows(25.0)
    breaker.succeeded()
    breaker.failed(30.0)
    assert breaker.allows(40.0), "the first rest again"


def test_an_abandoned_trial_may_be_made_again() -> None:
    breaker = CircuitBreaker(1, 1.0)
    breaker.failed(0.0)
    assert breaker.allows(1.0)
    breaker.abandoned()
    assert breaker.allows(1.0)


def test_a_call_that_ends_after_it_opened_changes_nothing() -> None:
    breaker = opened()
    breaker.succeeded()
    assert not breaker.failed(1.0)

    assert breaker.state(1.0) == "open"
    assert breaker.opened == 1
