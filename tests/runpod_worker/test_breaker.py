"""When a server that fails is left alone, and when it is tried again."""

from __future__ import annotations

from runpod_worker.breaker import Breaker


def test_two_failures_of_five_open_it() -> None:
    breaker = Breaker()
    for succeeded in (False, True, True, True, True, True):
        breaker.note(succeeded, 0.0)
    assert breaker.allows()
    breaker.note(False, 1.0)
    assert breaker.allows()
    breaker.note(True, 1.0)
    breaker.note(False, 1.0)

    assert not breaker.allows()
    assert breaker.opened == 1


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker(rest_s=10)
    breaker.note(False, at_s)
    breaker.note(False, at_s)
    return breaker


def test_one_canary_goes_out_after_the_rest() -> None:
    breaker = opened(at_s=5)

    assert not breaker.wants_canary(14.9)
    assert breaker.wants_canary(15)
    assert not breaker.wants_canary(16)
    assert not breaker.allows()


def test_a_good_canary_closes_it_and_a_bad_one_costs_another_rest() -> None:
    breaker = opened()
    assert breaker.wants_canary(10)
    breaker.note(False, 11)
    assert not breaker.wants_canary(20)
    assert breaker.wants_canary(21)
    breaker.note(True, 21)

    assert breaker.allows()
    breaker.note(False, 22)
    assert breaker.allows()  # what was before the rest is forgotten


def test_a_call_that_ends_late_changes_nothing() -> None:
    breaker = opened()
    breaker.note(True, 1)

    assert not breaker.allows()
