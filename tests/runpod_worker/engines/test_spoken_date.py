from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.engines.spoken_date import read_date


pytestmark = pytest.mark.pure

WEDNESDAY = date(2025, 1, 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hoy", "2025-01-01"),
        ("mañana por favor", "2025-01-02"),
        ("pasado mañana", "2025-01-03"),
        ("el lunes", "2025-01-06"),
        ("el miércoles", "2025-01-08"),
        ("el cinco de enero", "2025-01-05"),
        ("para el 5 de enero de 2026", "2026-01-05"),
        ("el treinta y uno de diciembre", "2025-12-31"),
        ("el uno de mayo", "2025-05-01"),
        ("el primero de mayo", "2025-05-01"),
        ("January 5th", "2025-01-05"),
        ("the first of May", "2025-05-01"),
        ("31/12", "2025-12-31"),
        ("1/2/2026", "2026-02-01"),
        ("2025-03-04", "2025-03-04"),
        ("la factura de marzo", None),
        ("el 31 de febrero", None),
        ("quiero pagar", None),
    ],
)
def test_the_day_that_is_named(words: str, expected: str | None) -> None:
    found = read_date(words, WEDNESDAY)
    assert (found and found.isoformat()) == expected


def test_a_day_that_is_over_this_year_is_of_the_next() -> None:
    assert read_date("el cinco de enero", date(2025, 6, 1)) == date(2026, 1, 5)


@given(st.text())
def test_any_words_are_read(words: str) -> None:
    found = read_date(words, WEDNESDAY)
    assert found is None or isinstance(found, date)
