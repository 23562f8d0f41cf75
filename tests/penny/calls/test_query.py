"""Days of a tenant, also those of 23 and 25 hours; what a cursor may be."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from penny.calls.query import CallQuery, read_cursor, write_cursor
from penny.errors import ProtocolError


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("Europe/Madrid", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Madrid", "2026-10-25", "2026-10-24T22:00", 25),
        ("Europe/Madrid", "2026-07-01", "2026-06-30T22:00", 24),
        ("Atlantic/Canary", "2026-03-29", "2026-03-29T00:00", 23),
        ("Atlantic/Canary", "2026-10-25", "2026-10-24T23:00", 25),
        ("America/Mexico_City", "2026-04-05", "2026-04-05T06:00", 24),
        ("America/Mexico_City", "2026-10-25", "2026-10-25T06:00", 24),
        ("America/Lima", "2026-03-29", "2026-03-29T05:00", 24),
        ("America/Lima", "2026-10-25", "2026-10-25T05:00", 24),
    ],
)
def test_a_day_is_the_tenants_own(zone: str, day: str, begins: str, hours: int) -> None:
    query = CallQuery.model_validate({"since": day, "until": day}).in_zone(ZoneInfo(zone))
    assert query.since is not None
    assert query.until is not None
    assert query.since.astimezone(UTC) == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    lasts = query.until.astimezone(UTC) - query.since.astimezone(UTC)
    assert lasts.total_seconds() == hours * 3600


def test_a_moment_with_a_zone_stays_what_it_is() -> None:
    given = {"since": "2026-03-29T01:30:00Z", "until": "2026-03-29T12:00"}
    query = CallQuery.model_validate(given).in_zone(ZoneInfo("Europe/Madrid"))
    assert query.since == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert query.until is not None
    assert query.until.astimezone(UTC) == datetime(2026, 3, 29, 10, tzinfo=UTC)


def test_a_cursor_is_what_was_given_out() -> None:
    assert read_cursor(write_cursor({"started_ms": 5, "id": "sess_a:b"})) == (5, "sess_a:b")
    with pytest.raises(ProtocolError, match="cursor"):
        read_cursor("nothing of ours")
