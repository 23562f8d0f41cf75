"""Whether a number may be dialled, and the record of those that were."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from config.telephony import DialingSection
from penny.telephony.dial_book import GRACE_S, SEEN_S, Dial, DialBook
from penny.telephony.dialing import (
    DialCounts,
    DialRefused,
    check_consent,
    check_counts,
    check_destination,
    check_request,
    choose_caller_id,
    read_list,
    read_number,
    retry_after_s,
)


pytestmark = pytest.mark.pure

TODAY = date(2026, 12, 1)
SPAIN = DialingSection(prefixes=("+34",), caller_ids=("+34910000000",), at_once=1, per_day=20)


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(DialRefused) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+34 911-11.11 (11)", "+34911111111"),
        ("+5215512345678", "+525512345678"),
        ("+15550100100", "+15550100100"),
    ],
)
def test_a_number_is_read_as_it_is_dialled(written: str, number: str) -> None:
    assert read_number(written) == number


@pytest.mark.parametrize(
    "written",
    ["", "911111111", "+0911111111", "+34", "+34911111111;ext=2", "sip:a@b", "+34\uff1911111111"],
)
def test_what_is_no_number_is_refused(written: str) -> None:
    assert code_of(read_number, written) == "number_invalid"


def test_destinations_are_denied_unless_a_prefix_allows_them() -> None:
    check_destination("+34911111111", SPAIN, frozenset())
    for number in ("+33911111111", "+34806111111", "+881611111111"):
        assert code_of(check_destination, number, SPAIN, frozenset()) == "dialing_denied"
    everywhere = DialingSection(prefixes=("+3", "+8"))
    assert code_of(check_destination, "+881611111111", everywhere, frozenset()) == "dialing_denied"
    nothing = DialingSection()
    assert code_of(check_destination, "+34911111111", nothing, frozenset()) == "dialing_denied"
    asked = frozenset({"+34911111111"})
    assert code_of(check_destination, "+34911111111", SPAIN, asked) == "do_not_call"


def test_a_caller_id_is_the_tenants_own() -> None:
    assert choose_caller_id(None, SPAIN, TODAY) == "+34910000000"
    assert code_of(choose_caller_id, "+34900000000", SPAIN, TODAY) == "caller_id_denied"
    nothing = DialingSection(prefixes=("+34",))
    assert code_of(choose_caller_id, None, nothing, TODAY) == "caller_id_denied"


@pytest.mark.parametrize("mobile", ["+34600000000", "+34712000000", "+34741000000"])
def test_a_spanish_mobile_is_shown_by_no_company_since_the_order_of_2025(mobile: str) -> None:
    section = DialingSection(prefixes=("+34",), caller_ids=(mobile, "+34700000000", "+5215500000"))
    assert code_of(choose_caller_id, mobile, section, TODAY) == "caller_id_mobile"
    assert choose_caller_id(mobile, section, date(2025, 6, 6)) == mobile
    assert choose_caller_id("+34700000000", section, TODAY) == "+34700000000"
    assert choose_caller_id("+5215500000", section, TODAY) == "+5215500000"


@pytest.mark.parametrize(
    ("outcome", "attempt", "after_s"),
    [
        ("no_answer", 1, 7200.0),
        ("busy", 2, 900.0),
        ("busy", 3, None),
        ("completed", 1, None),
        ("canceled", 1, None),
        ("failed", 1, None),
    ],
)
def test_attempts_are_spaced_by_what_became_of_the_last(
    outcome: str, attempt: int, after_s: float | None
) -> None:
    assert retry_after_s(outcome, attempt, 3, SPAIN) == after_s


def test_a_consent_is_of_the_last_two_years() -> None:
    today = date(2026, 11, 30)
    check_consent(date(2025, 1, 1), today)
    for at in (None, date(2024, 11, 1), date(2026, 12, 1)):
        assert code_of(check_consent, at, today) == "consent_missing"


def test_each_cap_is_named() -> None:
    check_counts(DialCounts(), SPAIN)
    for counts in (
        DialCounts(under_way=1),
        DialCounts(last_minute=10),
        DialCounts(today=20),
        DialCounts(to_number=3),
    ):
        assert code_of(check_counts, counts, SPAIN) == "dialing_limit"


def test_a_list_is_read_with_its_remarks() -> None:
    assert read_list("# lista\n+34 911 111 111  # pidió baja\n\n") == {"+34911111111"}


def test_a_list_with_a_line_that_is_no_number_lets_nothing_be_dialled() -> None:
    with pytest.raises(DialRefused, match="line 2 of the do-not-call list") as caught:
        read_list("+34911111111\n911 111 111\n")
    assert (caught.value.code, caught.value.field) == ("do_not_call", None)


# -- the record ---------------------------------------------------------------------------------


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def a_dial(name: str, number: str = "+34911111111", tenant: str = "acme") -> Dial:
    return Dial(
        name, tenant, number, "+34910000000", f"sess_{name}", {}, None, 0, None, None, None, None
    )


def reserve(
    book: DialBook, dial: Dial, key: str | None = None, day_from_s: float = 0.0
) -> tuple[Dial, bool]:
    def check(counts: DialCounts) -> None:
        check_counts(counts, SPAIN)

    return book.reserve(dial, key, day_from_s, 25, 1800, check)


def test_a_record_stands_before_the_call_and_a_wish_is_one_call(tmp_path: Path) -> None:
    book = DialBook(tmp_path / "dials.sqlite", Clock())
    first, is_new = reserve(book, a_dial("a"), "wish-1")
    assert is_new
    again, is_new = reserve(DialBook(tmp_path / "dials.sqlite", Clock()), a_dial("b"), "wish-1")
    assert (again.id, is_new) == (first.id, False)
    assert book.find("b") is None
    assert book.find("a", "bolt") is None


def test_an_outcome_is_one_and_frees_the_place_at_once(tmp_path: Path) -> None:
    book = DialBook(tmp_path / "dials.sqlite", Clock())
    reserve(book, a_dial("a"))
    assert code_of(reserve, book, a_dial("b")) == "dialing_limit"
    assert book.end("a", "no_answer")
    assert not book.end("a", "completed")
    found = book.find("a")
    assert found is not None
    assert found.outcome == "no_answer"
    reserve(book, a_dial("b"))


def test_unanswered_calls_hold_no_place_and_are_counted_in_their_day(tmp_path: Path) -> None:
    clock = Clock()
    book = DialBook(tmp_path / "dials.sqlite", clock)
    for number in range(SPAIN.per_day):
        clock.now_s += 7
        reserve(book, a_dial(f"n{number}", f"+349111{number:05}"))
        book.end(f"n{number}", ("busy", "no_answer", "failed", "canceled")[number % 4])
    assert code_of(reserve, book, a_dial("more")) == "dialing_limit"  # of the day
    reserve(book, a_dial("last"), day_from_s=clock.now_s)


def test_a_call_whose_carrier_falls_silent_is_over_by_the_clock(tmp_path: Path) -> None:
    clock = Clock()
    book = DialBook(tmp_path / "dials.sqlite", clock)
    reserve(book, a_dial("rings"))
    clock.now_s += 25 + GRACE_S - 1
    assert book.overdue() == []
    assert code_of(reserve, book, a_dial("x")) == "dialing_limit"
    clock.now_s += 2
    ((dial, over_s),) = book.overdue()
    assert (dial.id, over_s) == ("rings", clock.now_s - 1)
    book.end("rings", "unknown")
    reserve(book, a_dial("talks", "+34922222222"))
    book.note("talks", "CA1", "answered")
    clock.now_s += 1800
    assert code_of(reserve, book, a_dial("x")) == "dialing_limit"
    clock.now_s += GRACE_S + 1
    ((dial, over_s),) = book.overdue()
    assert (dial.id, dial.call_sid, over_s) == ("talks", "CA1", clock.now_s - 1)
    book.end("talks", "unknown")
    assert book.overdue() == []


def test_what_a_carrier_told_is_known_to_every_process_and_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    assert DialBook(tmp_path / "dials.sqlite", clock).take_once("voice CA1")
    clock.now_s += 86_400
    again = DialBook(tmp_path / "dials.sqlite", clock)
    assert not again.take_once("voice CA1")
    assert again.take_once("stream CA1")
    again.forget("voice CA1")
    assert again.take_once("voice CA1")
    clock.now_s += SEEN_S + 1
    assert again.take_once("stream CA1")


def test_a_moment_is_kept_as_it_was_first_told(tmp_path: Path) -> None:
    clock = Clock()
    book = DialBook(tmp_path / "dials.sqlite", clock)
    reserve(book, a_dial("a"))
    book.note("a", None, "ringing")
    clock.now_s += 5
    book.note("a", "CA1", "ringing")
    found = book.of_session("sess_a")
    assert found is not None
    assert (found.ringing_s, found.call_sid) == (1_000_000.0, "CA1")


def test_who_opted_out_is_known_to_the_tenant_at_once(tmp_path: Path) -> None:
    book = DialBook(tmp_path / "dials.sqlite", Clock())
    book.opt_out("acme", "+34911111111")
    book.opt_out("acme", "+34911111111")
    assert (book.opted_out("acme"), book.opted_out("bolt")) == ({"+34911111111"}, frozenset())


def test_what_waits_holds_no_place_and_is_taken_by_one_process(tmp_path: Path) -> None:
    clock = Clock()
    book = DialBook(tmp_path / "dials.sqlite", clock)
    waiting = replace(a_dial("w"), due_s=clock.now_s + 60)
    assert book.schedule(waiting, "wish-1")[1]
    assert not book.schedule(replace(waiting, id="v", session_id="sess_v"), "wish-1")[1]
    reserve(book, a_dial("a"))  # ``at_once`` is 1: what waits is not under way
    book.end("a", "busy")
    clock.now_s += 59
    assert (book.due(), book.overdue()) == ([], [])
    clock.now_s += 100_000
    other = DialBook(tmp_path / "dials.sqlite", clock)
    (due,) = other.due()
    assert book.overdue() == []
    assert (due.id, due.placed_s) == ("w", None)
    claim = (0.0, 25, 1800, lambda _counts: None)
    taken = book.claim(due, *claim)
    assert taken is not None
    assert taken.placed_s == clock.now_s
    assert other.claim(due, *claim) is None
    assert code_of(reserve, book, a_dial("x")) == "dialing_limit"


def test_a_record_of_before_there_were_attempts_is_read(tmp_path: Path) -> None:
    path, clock = tmp_path / "dials.sqlite", Clock()
    book = DialBook(path, clock)
    reserve(book, a_dial("a"))
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE attempts")
    found = book.find("a")
    assert found is not None
    assert (found.series, found.attempt, found.attempts) == ("a", 1, 1)
    assert found.placed_s == found.created_s
    assert book.due() == []
    assert code_of(reserve, book, a_dial("b")) == "dialing_limit"
    clock.now_s += 1000
    assert [dial.id for dial, _ in book.overdue()] == ["a"]


@pytest.mark.parametrize(
    ("at", "is_allowed"),
    [
        (None, False),
        (date(2026, 12, 1), True),
        (date(2026, 11, 1), True),
        (date(2026, 10, 31), False),
        (date(2026, 12, 2), False),
    ],
)
def test_13_14_energy_is_sold_at_the_customers_own_request_alone(
    at: date | None, is_allowed: bool
) -> None:
    check_request(None, TODAY, SPAIN)
    energy = DialingSection(sector="energia")
    if is_allowed:
        check_request(at, TODAY, energy)
    else:
        assert code_of(check_request, at, TODAY, energy) == "request_missing"
