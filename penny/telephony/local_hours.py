"""When a number may be called: the hours, weekends and public holidays of its place. Pure.

A number tells its time zone only roughly: a Spanish mobile may ring in Madrid or in Canarias. It
is called at moments that are within the hours in every zone that it may be in. Zones are those of
Google's libphonenumber, holidays those of ``holidays``; municipal ones are in neither.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
from phonenumbers import NumberParseException, PhoneNumber, parse, region_code_for_number
from phonenumbers.timezone import time_zones_for_number

from config.telephony import DialingSection
from penny.telephony.dialing import DialRefused


UNKNOWN = "Etc/Unknown"
STEP = timedelta(minutes=15)
MOST_DAYS = 15
_COMMUNITIES = {
    "MD": "81",
    "CT": "83 872 873 877",
    "AN": "85",
    "VC": "86",
    "CM": "825 826 849 867 869",
    "CL": "820 821 823 847 875 879 880 883 887",
    "CN": "822 828",
    "EX": "824 827",
    "RI": "841",
    "CB": "842",
    "PV": "843 844 845 846",
    "NC": "848",
    "MC": "868",
    "IB": "871",
    "AR": "874 876 878",
    "GA": "881 882 886 888",
    "AS": "884 885",
    "": "856",
}
"""Autonomous community, by the names of ``holidays``: beginnings of its geographic numbers, the 9
of them as 8 (CNMC's numbering plan). Cádiz and Ceuta share 956."""
SPAIN = {
    begins: community for community, numbers in _COMMUNITIES.items() for begins in numbers.split()
}


def check_hours(number: str, at: datetime, section: DialingSection) -> None:
    """Raises DialRefused: ``dialing_hours``. ``at`` is aware."""
    if not _may_ring(number, at, section):
        days = "" if section.weekends else ", Monday to Friday"
        free = "" if section.holidays else ", no public holidays"
        zones = ", ".join(str(zone) for zone in zones_of(number, section.timezone))
        raise DialRefused(
            f"to: is called from {section.from_hour} to {section.to_hour} h of its own time "
            f"({zones}{days}{free})",
            code="dialing_hours",
            retryable=True,
        )


def next_moment(number: str, at: datetime, section: DialingSection) -> datetime:
    """The first moment from ``at`` on when the number may be called, in UTC. Raises DialRefused
    where the next 15 days have none: zones that share no hour."""
    moment = at.astimezone(UTC)
    if _may_ring(number, moment, section):
        return moment
    moment -= timedelta(
        minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond
    )
    for _ in range(MOST_DAYS * 96):
        moment += STEP
        if _may_ring(number, moment, section):
            return moment
    raise DialRefused("to: there is no hour for calls to this number", code="dialing_hours")


def zones_of(number: str, fallback: str) -> tuple[ZoneInfo, ...]:
    """The zones that a number may ring in; ``fallback`` where it tells none."""
    parsed = _parse(number)
    names = () if parsed is None else time_zones_for_number(parsed)
    return tuple(ZoneInfo(name) for name in names if name != UNKNOWN) or (ZoneInfo(fallback),)


def place_of(number: str, region: str) -> tuple[str, str]:
    """Country and region of a number, by the names of ``holidays``; '' where it tells none.

    Args:
        region: of the country's numbers that tell none, such as mobiles.
    """
    parsed = _parse(number)
    country = "" if parsed is None else region_code_for_number(parsed) or ""
    if country != "ES" or parsed is None:
        return country, region
    national = str(parsed.national_number)
    if national[0] not in "89" or national[1] == "0":
        return country, region
    begins = f"8{national[1:3]}"
    return country, SPAIN.get(begins, SPAIN.get(begins[:2], "")) or region


def _may_ring(number: str, at: datetime, section: DialingSection) -> bool:
    country, region = place_of(number, section.region)
    for zone in zones_of(number, section.timezone):
        local = at.astimezone(zone)
        if not section.from_hour <= local.hour < section.to_hour:
            return False
        if local.weekday() >= 5 and not section.weekends:
            return False
        if not section.holidays and _is_holiday(country, region, local.date()):
            return False
    return True


def _is_holiday(country: str, region: str, day: date) -> bool:
    return day in _calendar(country, region)


@cache
def _calendar(country: str, region: str) -> holidays.HolidayBase | frozenset[date]:
    known = holidays.list_supported_countries()
    if country not in known:
        return frozenset()
    return holidays.country_holidays(country, subdiv=region if region in known[country] else None)


def _parse(number: str) -> PhoneNumber | None:
    try:
        return parse(number)
    except NumberParseException:
        return None
