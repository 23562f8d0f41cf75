"""Whose hours count: the callee's own, in every zone that their number may ring in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from config.telephony import DialingSection
from penny.telephony.dialing import DialRefused
from penny.telephony.local_hours import check_hours, next_moment, place_of, zones_of


pytestmark = pytest.mark.pure

SECTION = DialingSection(prefixes=("+34", "+52", "+51"))
MADRID, PALMAS, MOBILE = "+34911111111", "+34928111111", "+34600111222"
MEXICO, TIJUANA, LIMA = "+525512345678", "+526641234567", "+51912345678"


def may(number: str, moment: str, zone: str, **section: object) -> bool:
    at = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone))
    rules = DialingSection.model_validate({**SECTION.model_dump(), **section})
    try:
        check_hours(number, at, rules)
    except DialRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        (MADRID, ["Europe/Madrid"]),
        (PALMAS, ["Atlantic/Canary"]),
        (MOBILE, ["Atlantic/Canary", "Europe/Madrid"]),
        (TIJUANA, ["America/Tijuana"]),
        (LIMA, ["America/Lima"]),
        ("+881611111111", ["Europe/Madrid"]),  # satellite: it tells none
    ],
)
def test_the_zones_of_a_number(number: str, zones: list[str]) -> None:
    assert [str(zone) for zone in zones_of(number, "Europe/Madrid")] == zones


@pytest.mark.parametrize(
    ("number", "moment", "zone", "is_allowed"),
    [
        (MADRID, "2026-11-30T09:00", "Europe/Madrid", True),
        (PALMAS, "2026-11-30T09:59", "Europe/Madrid", False),  # 8:59 there
        (PALMAS, "2026-11-30T21:30", "Europe/Madrid", True),
        (MOBILE, "2026-11-30T09:30", "Europe/Madrid", False),  # it may be in Canarias
        (MOBILE, "2026-11-30T20:59", "Europe/Madrid", True),
        (MOBILE, "2026-11-30T21:00", "Europe/Madrid", False),
        (MEXICO, "2026-12-01T16:00", "Europe/Madrid", True),  # 9:00 there
        (MEXICO, "2026-12-01T15:59", "Europe/Madrid", False),
        (TIJUANA, "2026-12-01T17:59", "Europe/Madrid", False),
        (TIJUANA, "2026-12-01T18:00", "Europe/Madrid", True),
        (LIMA, "2026-12-01T09:00", "America/Lima", True),
        (MADRID, "2026-11-29T12:00", "Europe/Madrid", False),  # a Sunday
        # The days on which the clocks change, by the first hour of the Monday after and by UTC.
        (MADRID, "2026-03-30T07:00", "UTC", True),  # summer time since Sunday
        (MADRID, "2026-03-27T07:30", "UTC", False),
        (MADRID, "2026-10-26T08:00", "UTC", True),
        (MADRID, "2026-10-26T07:30", "UTC", False),
        (PALMAS, "2026-03-30T08:00", "UTC", True),
        (PALMAS, "2026-10-26T08:30", "UTC", False),
        (MEXICO, "2026-04-07T15:00", "UTC", True),  # no summer time any more
    ],
)
def test_hours_are_those_of_the_callee(
    number: str, moment: str, zone: str, is_allowed: bool
) -> None:
    assert may(number, moment, zone) == is_allowed


@pytest.mark.parametrize(
    ("number", "day", "region", "is_allowed"),
    [
        (MADRID, "2026-12-08", "", False),  # national
        (MADRID, "2026-09-11", "", True),
        ("+34931111111", "2026-09-11", "", False),  # Catalonia's
        ("+34831111111", "2026-09-11", "", False),
        (MOBILE, "2026-09-11", "", True),  # it tells no region
        (MOBILE, "2026-09-11", "CT", False),
        (MEXICO, "2026-09-16", "", False),
        (LIMA, "2026-07-28", "", False),
    ],
)
def test_public_holidays_are_those_of_the_number(
    number: str, day: str, region: str, is_allowed: bool
) -> None:
    zone = str(zones_of(number, "UTC")[0])
    assert may(number, f"{day}T12:00", zone, region=region) == is_allowed
    assert may(number, f"{day}T12:00", zone, region=region, holidays=True)


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+34956111111", ""),  # Cádiz or Ceuta
        ("+34952111111", "AN"),
        ("+34985111111", "AS"),
        ("+34900111111", ""),
        ("+34976111111", "AR"),
        ("+34967111111", "CM"),
        ("+34941111111", "RI"),
    ],
)
def test_a_spanish_number_tells_its_community(number: str, region: str) -> None:
    assert place_of(number, "") == ("ES", region)


@pytest.mark.parametrize(
    ("number", "moment", "first"),
    [
        (MADRID, "2026-11-30T10:07:30+00:00", "2026-11-30T10:07:30+00:00"),
        (MADRID, "2026-11-30T20:00:00+00:00", "2026-12-01T08:00:00+00:00"),
        (MOBILE, "2026-11-30T20:00:01+00:00", "2026-12-01T09:00:00+00:00"),
        # Friday evening; Monday is the Constitution's, moved, in some communities; Tuesday a feast
        (MADRID, "2026-12-04T21:00:00+00:00", "2026-12-09T08:00:00+00:00"),
        (MADRID, "2026-03-28T12:00:00+00:00", "2026-03-30T07:00:00+00:00"),
    ],
)
def test_the_next_moment_that_is_allowed(number: str, moment: str, first: str) -> None:
    found = next_moment(number, datetime.fromisoformat(moment), SECTION)
    assert (found.isoformat(), found.tzinfo) == (first, UTC)


def test_a_number_without_any_hour_is_refused() -> None:
    narrow = DialingSection(from_hour=9, to_hour=10)
    with pytest.raises(DialRefused):
        next_moment(MOBILE, datetime(2026, 11, 30, 12, tzinfo=UTC), narrow)
