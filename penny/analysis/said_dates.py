"""Dates as they are said: "el quince de marzo", "pasado mañana", "on the fifth of May". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from penny.analysis.words import plain
from penny.calls.numbers import Number, read_numbers


_MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
_ENGLISH = "january february march april may june july august september october november december"
MONTHS = {
    name: number
    for names in (_MONTHS.split(), _ENGLISH.split())
    for number, name in enumerate(names, 1)
} | {"setiembre": 9}
_MONTH = "|".join(MONTHS)
_WEEK = {
    name: number
    for names in (
        ["lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"],
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    )
    for number, name in enumerate(names, 1)
}
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
    " fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_DAYS = {name: number for number, name in enumerate(_ORDINALS.split(), 1)} | {"primero": 1}
_OF_MONTH = re.compile(rf"^\s*(?:de|del|of)?\s*(?:el\s+mes\s+de\s+)?({_MONTH})\b")
_BY_ORDINAL = re.compile(rf"\b({'|'.join(_DAYS)})\s+(?:de|of)\s+({_MONTH})\b")
_YEAR = re.compile(r"^\s*,?\s*(?:de|del|of)?\s*(?:año\s+)?$")
_WRITTEN = re.compile(r"\b(\d{1,2})[/.-](\d{1,2})[/.-](\d{2,4})\b")
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_RELATIVE = (
    (re.compile(r"\bpasado\s+manana\b|\bday\s+after\s+tomorrow\b"), "+2d"),
    (re.compile(r"\b(?:anteayer|antier|antes\s+de\s+ayer)\b"), "-2d"),
    (re.compile(r"\b(?:ayer|yesterday)\b"), "-1d"),
    (re.compile(r"\b(?:hoy|today)\b"), "+0d"),
    (re.compile(r"(?<!\bla )(?<!\besta )(?<!\bmedia )(?<!\buna )\bmanana\b|\btomorrow\b"), "+1d"),
)
_DAY = re.compile(rf"\b({'|'.join(_WEEK)})s?\b")

Found = tuple[str, int, int]
"""A date (``2026-03-15``, ``--03-15`` without a year, ``+1d`` from the day of the call, ``wd4`` for
a Thursday), and from where to where it was said."""


def read_dates(text: str) -> Iterator[Found]:
    """The dates of a text; within one another too, the wider first."""
    folded = plain(text)
    for found in _ISO.finditer(folded):
        year, month, day = map(int, found.groups())
        yield from _dated(day, month, year, *found.span())
    for found in _WRITTEN.finditer(folded):
        day, month, year = map(int, found.groups())
        yield from _dated(day, month, year + 2000 if year < 100 else year, *found.span())
    numbers = list(read_numbers(text))
    for at, number in enumerate(numbers):
        month_said = _OF_MONTH.match(folded[number.end :])
        if month_said and 1 <= number.value <= 31:
            end = number.end + month_said.end()
            year, until = _year(folded, end, numbers[at + 1 :])
            yield from _dated(number.value, MONTHS[month_said.group(1)], year, number.start, until)
    for found in _BY_ORDINAL.finditer(folded):
        after = [number for number in numbers if number.start >= found.end()]
        year, until = _year(folded, found.end(), after)
        day, month = _DAYS[found.group(1)], MONTHS[found.group(2)]
        yield from _dated(day, month, year, found.start(), until)
    for pattern, told in _RELATIVE:
        for found in pattern.finditer(folded):
            yield told, *found.span()
    for found in _DAY.finditer(folded):
        yield f"wd{_WEEK[found.group(1)]}", *found.span()


def _year(text: str, end: int, after: list[Number]) -> tuple[int, int]:
    """The year that is said behind a month, and where it ends; 0 where none is."""
    if not after or not _YEAR.match(text[end : after[0].start]):
        return 0, end
    first = after[0]
    if 1900 <= first.value <= 2100:
        return first.value, first.end
    if len(after) > 1 and 19 <= first.value <= 20 and text[first.end : after[1].start] == " ":
        return first.value * 100 + after[1].value, after[1].end  # nineteen eighty
    return 0, end


def _dated(day: int, month: int, year: int, start: int, end: int) -> Iterator[Found]:
    try:
        told = date(year or 2024, month, day).isoformat()  # a leap year
    except ValueError:
        return
    yield (told if year else f"-{told[4:]}"), start, end
