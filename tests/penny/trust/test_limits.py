"""Decisions over counts, without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.trust.limits import (
    ANSWER_BYTES,
    DAY_S,
    MESSAGE_BYTES,
    Limits,
    MessageRate,
    Scope,
    Use,
    begin,
    charge,
    day_of,
    deny,
    is_spent,
)


pytestmark = pytest.mark.pure


NOON_S = 20_000 * DAY_S + DAY_S / 2


def scope(**limits: float) -> Scope:
    return Scope("t:acme", Limits(**limits))  # type: ignore[arg-type]  # whole numbers are given


def test_without_limits_everything_begins() -> None:
    assert deny(scope(), Use(sessions=10_000, day_usd=1e6), NOON_S) is None


def test_the_place_after_the_last_is_denied() -> None:
    two = scope(max_sessions=2)
    use = begin(two, begin(two, Use(), NOON_S), NOON_S)

    denial = deny(two, use, NOON_S)

    assert denial is not None
    assert (denial.limit, denial.retry_after_s) == ("max_sessions", 5.0)


@given(st.integers(min_value=1, max_value=100))
def test_a_minute_admits_exactly_its_rate_and_says_when_the_next_may_come(rate: int) -> None:
    limited, use, admitted = scope(sessions_per_minute=rate), Use(), 0
    while (denial := deny(limited, use, NOON_S)) is None:
        use = begin(limited, use, NOON_S)
        admitted += 1

    assert admitted == rate
    assert denial.retry_after_s == pytest.approx(60 / rate, abs=1e-3)
    assert deny(limited, use, NOON_S + denial.retry_after_s + 1e-3) is None


def test_money_and_minutes_of_a_day_come_back_at_midnight() -> None:
    limited = scope(minutes_per_day=1, usd_per_day=2)
    use = charge(Use(), 61, 0.5, NOON_S)

    denial = deny(limited, use, NOON_S)

    assert denial is not None
    assert (denial.limit, denial.retry_after_s) == ("minutes_per_day", DAY_S / 2)
    assert deny(limited, use, NOON_S + denial.retry_after_s) is None


def test_money_is_named_before_minutes() -> None:
    denial = deny(scope(minutes_per_day=1, usd_per_day=2), charge(Use(), 61, 2.0, NOON_S), NOON_S)

    assert denial is not None
    assert denial.limit == "usd_per_day"


def test_a_clock_set_back_frees_no_money_and_locks_nobody_out() -> None:
    limited = scope(usd_per_day=1, sessions_per_minute=1)
    spent = charge(Use(), 0, 1.5, NOON_S)
    assert deny(limited, spent, NOON_S - 2 * DAY_S) is not None

    begun = begin(limited, Use(), NOON_S)
    assert deny(limited, begun, NOON_S) is not None
    assert deny(limited, begun, NOON_S - 3600) is None
    again = begin(limited, begun, NOON_S - 3600)
    denial = deny(limited, again, NOON_S - 3600)
    assert denial is not None
    assert denial.retry_after_s <= 60


def test_a_clock_set_forward_is_a_new_day() -> None:
    use = charge(Use(), 0, 1.5, NOON_S)
    later = charge(use, 0, 0.25, NOON_S + DAY_S)
    assert (later.day_usd, later.day) == (0.25, day_of(NOON_S) + 1)


def test_a_live_session_learns_which_limit_it_reached() -> None:
    assert is_spent(Limits(minutes_per_day=1), 60, 0) == "minutes_per_day"
    assert is_spent(Limits(usd_per_day=1), 600, 1.0) == "usd_per_day"
    assert is_spent(Limits(usd_per_day=1, minutes_per_day=1), 59, 0.99) is None


def test_messages_within_the_rate_pass_and_one_too_many_says_when() -> None:
    rate = MessageRate(2.0, burst_s=1.0)

    assert [rate.take(5.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert rate.take(5.5) == 0.0
    assert rate.take(4.0) > 0.0


def test_long_messages_and_long_answers_count_as_several() -> None:
    rate = MessageRate(1.0, burst_s=10.0)
    assert rate.take(0.0, 20 * MESSAGE_BYTES) == 0.0  # within what may come at once
    assert rate.take(0.0) == 11.0
    assert rate.take(11.0) == 0.0
    rate.spend(ANSWER_BYTES)  # an answer of usual length costs nothing
    rate.spend(5 * ANSWER_BYTES)
    assert rate.take(11.0) == 5.0


def test_fewer_wishes_for_an_answer_pass_than_messages() -> None:
    rate = MessageRate(10.0)
    assert [rate.take_turn(0.0) for _ in range(6)] == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]
    assert rate.take_turn(0.5) == 1.0
    assert [rate.take_turn(0.5) for _ in range(4)] == [1.5, 2.0, 2.5, 2.5]
    assert rate.take_turn(3.5) == 0.0
    assert rate.take(0.0) == 0.0
    assert MessageRate(None).take_turn(0.0) == 0.0


def test_no_rate_lets_everything_pass() -> None:
    rate = MessageRate(None)
    assert sum(rate.take(0.0) for _ in range(10_000)) == 0.0
