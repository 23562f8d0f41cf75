"""When a delivery is tried again: eight attempts over 28 hours, and what the endpoint asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.webhooks.policy import (
    LONGEST_WAIT_S,
    MAX_ATTEMPTS,
    RETRY_S,
    Answer,
    decide,
    read_retry_after,
)


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(("attempts", "wait_s"), list(enumerate(RETRY_S, start=1)))
def test_each_failure_waits_longer(attempts: int, wait_s: int) -> None:
    assert decide(Answer(500), attempts, 1_000, 0.0) == ("waiting", 1_000 + wait_s * 1000)
    assert decide(Answer(500), attempts, 1_000, 1.0) == ("waiting", 1_000 + wait_s * 1100)


def test_the_waits_are_the_documented_ones() -> None:
    assert RETRY_S == (5, 300, 1800, 7200, 18000, 36000, 36000)
    assert 27 < sum(RETRY_S) / 3600 < 28


@pytest.mark.parametrize("status", [0, 301, 400, 401, 404, 410, 429, 500, 503])
def test_the_last_failure_is_the_last(status: int) -> None:
    assert decide(Answer(status), MAX_ATTEMPTS, 5, 0.5) == ("dead", 5)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_success_is_one_at_any_attempt(status: int) -> None:
    assert decide(Answer(status), 1, 5, 0.5) == ("delivered", 5)
    assert decide(Answer(status), MAX_ATTEMPTS + 3, 5, 0.5) == ("delivered", 5)


@given(st.floats(0, 1e7), st.integers(1, MAX_ATTEMPTS - 1), st.floats(0, 1))
def test_what_the_endpoint_asks_for_is_obeyed_up_to_a_day(
    after_s: float, attempts: int, chance: float
) -> None:
    asked_s = read_retry_after(str(round(after_s)), 0.0)
    _, due_ms = decide(Answer(429, retry_after_s=asked_s), attempts, 0, chance)
    assert due_ms >= min(round(after_s), LONGEST_WAIT_S) * 1000
    assert due_ms <= max(LONGEST_WAIT_S, RETRY_S[attempts - 1] * 1.1) * 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("9" * 400, LONGEST_WAIT_S),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 110.0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", LONGEST_WAIT_S),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_tells_seconds_or_a_moment(text: str | None, expected: float | None) -> None:
    assert read_retry_after(text, 10.0) == expected
