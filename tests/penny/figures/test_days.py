"""Which sums cover a range, and the moments of its series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from penny.figures.days import Days, FigureQuery, Stretch


pytestmark = pytest.mark.pure

MADRID = ZoneInfo("Europe/Madrid")


def covered(stretches: Iterable[Stretch]) -> Counter[str]:
    """How often each day is counted, months taken apart."""
    found: Counter[str] = Counter()
    for stretch in stretches:
        first, last = stretch.first, stretch.last
        if stretch.span == "month":
            first, after = f"{first}-01", date.fromisoformat(f"{last}-28") + timedelta(days=4)
            last = (after.replace(day=1) - timedelta(days=1)).isoformat()
        day = date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            found[day.isoformat()] += stretch.sign
            day += timedelta(days=1)
    return Counter({day: n for day, n in found.items() if n})


@pytest.mark.parametrize("since", ["2026-01-01", "2026-01-15", "2026-01-31", "2024-02-29"])
@pytest.mark.parametrize("count", [1, 2, 31, 92, 93, 100, 365, 800])
def test_each_day_is_covered_once(since: str, count: int) -> None:
    first = date.fromisoformat(since)
    days = Days(first, first + timedelta(days=count - 1))
    wanted = [(first + timedelta(days=n)).isoformat() for n in range(count)]
    assert covered(days.whole()) == Counter(wanted)
    read = [1 if each.span == "month" else covered([each]).total() for each in days.whole()]
    assert sum(map(abs, read)) <= 31
    if days.grain != "hour":
        assert covered(days.series(MADRID)) == Counter(wanted)
    assert days.before.until == first - timedelta(days=1)
    assert days.before.count == count
    if days.grain == "month":
        assert days.points(MADRID) == sorted({day[:7] for day in wanted})


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Madrid", "2026-03-29", 23),
        ("Europe/Madrid", "2026-10-25", 25),
        ("Atlantic/Canary", "2026-10-25", 25),
        ("America/Mexico_City", "2026-10-25", 24),
        ("America/Lima", "2026-03-29", 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_clock(zone: str, day: str, hours: int) -> None:
    days = Days(date.fromisoformat(day), date.fromisoformat(day))
    points = days.points(ZoneInfo(zone))
    assert len(points) == len(set(points)) == hours
    assert points[0].startswith(f"{day}T00:00")
    assert points[-1].startswith(f"{day}T23:00")


def test_hours_of_a_day_are_those_of_the_world_clock() -> None:
    days = Days(date(2026, 10, 25), date(2026, 10, 25))
    assert days.hours(MADRID) == Stretch("hour", "2026-10-24T22", "2026-10-25T22")


def test_what_is_not_named_is_a_week() -> None:
    today = date(2026, 11, 30)
    assert FigureQuery().days(today) == Days(date(2026, 11, 24), today)
    assert FigureQuery(since=date(2026, 11, 1)).days(today) == Days(date(2026, 11, 1), today)
    assert FigureQuery(until=date(2026, 11, 7)).days(today).since == date(2026, 11, 1)
    ahead = FigureQuery(since=date(2026, 12, 5)).days(today)
    assert ahead == Days(date(2026, 12, 5), date(2026, 12, 5))


@pytest.mark.parametrize(
    "given",
    [
        {"since": "2026-02-01", "until": "2026-01-01"},
        {"since": "1000-01-01", "until": "2026-01-01"},
        {"since": "yesterday"},
        {"sinse": "2026-01-01"},
    ],
)
def test_a_range_that_is_none_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FigureQuery.model_validate(given)
