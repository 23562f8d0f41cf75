"""Which days are asked for, and which sums cover them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator


Grain = Literal["hour", "day", "month"]

SHOWN_DAYS = 7
"""Of who names no range: today and the six before."""
MOST_DAYS = 3660
HOURLY_DAYS = 2
DAILY_DAYS = 92
"""Up to so many days a series is by hour, by day; beyond, by month."""


class FigureQuery(BaseModel):
    """Which calls: every filter that is given holds. Days are the tenant's, ``until`` included."""

    model_config = ConfigDict(extra="forbid")

    since: date | None = None
    until: date | None = None
    tenant: str | None = Field(None, max_length=64)
    """For who sees every tenant's."""
    mode: str | None = Field(None, max_length=32)
    edge: str | None = Field(None, max_length=32)
    test: bool = False
    """Test calls alone, which no other figure has."""

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.since and self.until and self.since > self.until:
            raise ValueError("since: a range begins before it ends")
        if self.since and self.until and (self.until - self.since).days >= MOST_DAYS:
            raise ValueError(f"since: a range has {MOST_DAYS} days at most")
        return self

    def days(self, today: date) -> Days:
        """The range, where a part of it is not named too."""
        until = self.until or max(today, self.since or today)
        return Days(self.since or until - timedelta(days=SHOWN_DAYS - 1), until)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sums of one span from ``first`` to ``last``, both included; written as ``sums.starts``.

    ``sign`` is -1 where they are taken off again: days of a month that no range has.
    """

    span: Grain
    first: str
    last: str
    sign: int = 1

    def holds(self, span: str, starts: str) -> bool:
        return span == self.span and self.first <= starts <= self.last


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, both ends included."""

    since: date
    until: date

    @property
    def count(self) -> int:
        return (self.until - self.since).days + 1

    @property
    def before(self) -> Days:
        """As many days, right before."""
        return Days(self.since - timedelta(days=self.count), self.since - timedelta(days=1))

    @property
    def grain(self) -> Grain:
        """How fine a series over them is."""
        if self.count <= HOURLY_DAYS:
            return "hour"
        return "day" if self.count <= DAILY_DAYS else "month"

    def whole(self) -> Iterator[Stretch]:
        """The fewest sums that come to all of them: months, and days more or less at the ends."""
        months = list(self._months())
        taken = [each for each in months if each.is_mostly_in]
        if taken:
            yield Stretch("month", f"{taken[0].first:%Y-%m}", f"{taken[-1].first:%Y-%m}")
        for each in months:
            if not each.is_mostly_in:
                yield Stretch("day", each.since.isoformat(), each.until.isoformat())
                continue
            for first, after in (
                (each.first, each.since),
                (each.until + timedelta(days=1), each.after),
            ):
                if first < after:
                    last = after - timedelta(days=1)
                    yield Stretch("day", first.isoformat(), last.isoformat(), -1)

    def series(self, zone: ZoneInfo) -> list[Stretch]:
        """The sums of each moment of a series over them."""
        if self.grain == "hour":
            return [self.hours(zone)]
        if self.grain == "day":
            return [Stretch("day", self.since.isoformat(), self.until.isoformat())]
        return list(self.whole())

    def hours(self, zone: ZoneInfo) -> Stretch:
        """Their hours: 23 or 25 on a day on which the clocks change."""
        began = datetime.combine(self.since, time(), zone).astimezone(UTC)
        ended = datetime.combine(self.until + timedelta(days=1), time(), zone).astimezone(UTC)
        last = ended - timedelta(seconds=1)
        return Stretch("hour", f"{began:%Y-%m-%dT%H}", f"{last:%Y-%m-%dT%H}")

    def points(self, zone: ZoneInfo) -> list[str]:
        """The moments of a series: ``2026-11``, ``2026-11-30`` or ``2026-11-30T09:00+01:00``."""
        if self.grain == "hour":
            at = datetime.combine(self.since, time(), zone).astimezone(UTC)
            end = datetime.combine(self.until + timedelta(days=1), time(), zone).astimezone(UTC)
            hours = []
            while at < end:
                hours.append(local_hour(at, zone))
                at += timedelta(hours=1)
            return hours
        days = [(self.since + timedelta(days=n)).isoformat() for n in range(self.count)]
        return days if self.grain == "day" else sorted({day[:7] for day in days})

    def _months(self) -> Iterator[_Month]:
        first = self.since.replace(day=1)
        while first <= self.until:
            after = (first + timedelta(days=32)).replace(day=1)
            until = min(self.until, after - timedelta(days=1))
            yield _Month(first, max(self.since, first), until, after)
            first = after


class _Month(NamedTuple):
    """A month of a range: its first day, the range's first and last in it, the next month."""

    first: date
    since: date
    until: date
    after: date

    @property
    def is_mostly_in(self) -> bool:
        return 2 * ((self.until - self.since).days + 1) > (self.after - self.first).days


def local_hour(at: datetime, zone: ZoneInfo) -> str:
    """An hour of the day as a tenant's clock shows it, with its distance from UTC."""
    return at.astimezone(zone).isoformat(timespec="minutes")
