"""Row 13.15: share of calls under 10 s and answer rate per caller id, with alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.telephony import DialingSection
from penny.telephony.dial_book import Dial, DialBook
from penny.telephony.number_health import LEAST_CALLS, SINCE_S, NumberHealth


pytestmark = pytest.mark.pure

SECTION = DialingSection()


def health(calls: int, answered: int, short: int) -> NumberHealth:
    return NumberHealth("acme", "+34910000000", calls, answered, short)


@pytest.mark.parametrize(
    ("calls", "answered", "short", "alarms"),
    [
        (LEAST_CALLS - 1, 0, 0, ()),
        (100, 20, 6, ()),
        (100, 19, 5, ("answer_rate",)),
        (100, 80, 25, ("short_calls",)),
        (100, 10, 9, ("answer_rate", "short_calls")),
        (100, 0, 0, ("answer_rate",)),
    ],
)
def test_13_15_a_number_that_few_answer_or_that_is_hung_up_on_is_told_of(
    calls: int, answered: int, short: int, alarms: tuple[str, ...]
) -> None:
    assert health(calls, answered, short).alarms(SECTION) == alarms


def test_13_15_shares_are_those_of_each_caller_ids_calls_that_are_over(tmp_path: Path) -> None:
    now_s = 1_000_000.0
    book = DialBook(tmp_path / "dials.sqlite", lambda: now_s)
    assert book.health(0.0) == []
    lengths = {"a": 9.9, "b": 10.0, "c": None, "d": 300.0}
    for name, talk_s in lengths.items():
        now_s += 100
        place(book, name, "+34910000001")
        now_s += 5
        if talk_s is not None:
            book.note(name, f"CA{name}", "answered")
            now_s += talk_s
        book.end(name, "completed" if talk_s is not None else "no_answer")
    place(book, "other", "+34910000002")
    book.end("other", "busy")
    for name, outcome in (("broken", "failed"), ("taken back", "canceled"), ("live", "")):
        place(book, name, "+34910000002")
        if outcome:
            book.end(name, outcome)
    found = {each.number: each for each in book.health(now_s - SINCE_S)}
    one, two = found["+34910000001"], found["+34910000002"]
    assert (one.tenant, one.calls, one.answered, one.short) == ("acme", 4, 3, 1)
    assert (two.calls, two.answered, two.short) == (1, 0, 0)
    assert (one.answer_rate, round(one.short_share, 3)) == (0.75, 0.333)
    assert book.health(now_s + 1) == []


def place(book: DialBook, name: str, caller_id: str) -> None:
    dial = Dial(
        id=name, tenant="acme", number="+34911111111", caller_id=caller_id, session_id=f"s{name}",
        asked={}, call_sid=None, created_s=0.0, ringing_s=None, answered_s=None, ended_s=None,
        outcome=None,
    )  # fmt: skip
    book.reserve(dial, None, 0.0, 25.0, 1800.0, lambda _counts: None)
