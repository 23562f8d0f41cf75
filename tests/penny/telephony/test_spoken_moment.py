"""Moments as callers say them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from penny.telephony.spoken_moment import read_moment


pytestmark = pytest.mark.pure

MADRID = ZoneInfo("Europe/Madrid")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=MADRID)
"""A Monday."""


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("mañana a las cinco", "2026-12-01 17:00"),
        ("Mañana a las 5 de la tarde", "2026-12-01 17:00"),
        ("mañana por la mañana", "2026-12-01 10:00"),
        ("mañana a las nueve y media de la mañana", "2026-12-01 09:30"),
        ("pasado mañana a las diez menos cuarto", "2026-12-02 09:45"),
        ("esta tarde", "2026-11-30 17:00"),
        ("hoy a las 18:30", "2026-11-30 18:30"),
        ("a las once", "2026-12-01 11:00"),
        ("a las 13", "2026-11-30 13:00"),
        ("el lunes a las doce", "2026-12-07 12:00"),
        ("el viernes por la tarde", "2026-12-04 17:00"),
        ("en dos horas", "2026-11-30 14:00"),
        ("dentro de una hora y media", "2026-11-30 13:30"),
        ("en media hora", "2026-11-30 12:30"),
        ("en 20 minutos", "2026-11-30 12:20"),
        ("tomorrow at five", "2026-12-01 17:00"),
        ("tomorrow morning at 9:15", "2026-12-01 09:15"),
        ("in two hours", "2026-11-30 14:00"),
        ("on friday at noon", "2026-12-04 12:00"),
        ("2026-12-01T17:00:00", "2026-12-01 17:00"),
        ("2026-12-01T16:00:00+00:00", "2026-12-01 17:00"),
    ],
)
def test_a_moment_is_read_as_it_is_said(said: str, moment: str) -> None:
    read = read_moment(said, NOW)
    assert read is not None
    assert read == datetime.fromisoformat(moment).replace(tzinfo=MADRID)


@pytest.mark.parametrize(
    "said",
    ["", "cuando puedan", "más tarde", "mañana", "hoy a las diez", "a las cuarenta", "luego"],
)
def test_what_is_no_moment_is_none(said: str) -> None:
    assert read_moment(said, NOW) is None
