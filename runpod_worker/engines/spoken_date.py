"""The day that a caller names, as a date: "mañana", "el cinco de enero", "next Monday". Pure."""

from __future__ import annotations

import re
from datetime import date, timedelta

from kb.normal.months import MONTHS
from kb.normal.numbers import NumberReader
from kb.normal.words import plain_words
from kb.passage import Language
from runpod_worker.engines.opening_hours import asked_day


_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_SLASHED = re.compile(r"\b(\d{1,2})/(\d{1,2})(?:/(\d{4}))?\b")
_MONTHS = {
    plain_words(name): at for names in MONTHS.values() for at, name in enumerate(names, start=1)
}
_LANGUAGES: tuple[Language, ...] = ("es", "en")
_FIRST = {"primero": 1, "uno": 1, "first": 1}


def read_date(words: str, today: date) -> date | None:
    """The first day that the words name, today or later where they name no year; None of none."""
    if found := _ISO.search(words):
        return _make(int(found[1]), int(found[2]), int(found[3]))
    if found := _SLASHED.search(words):
        return _next(int(found[1]), int(found[2]), int(found[3] or 0), today)
    said = plain_words(words).split()
    for at, word in enumerate(said):
        if word in _MONTHS and (day := _day_beside(said, at)):
            return _next(day, _MONTHS[word], _year_after(said, at), today)
    for language in _LANGUAGES:
        asked = asked_day(words, language, today)
        if asked is not None:
            ahead = (asked.weekday - today.weekday()) % 7 or 7
            offset = asked.offset_days if asked.offset_days is not None else ahead
            return today + timedelta(days=offset)
    return None


def _day_beside(said: list[str], at: int) -> int:
    """The day of "cinco de enero" or "January 5"; 0 where there is none."""
    for language in _LANGUAGES:
        reader = NumberReader(language)
        before = [word for word in said[max(0, at - 4) : at] if word not in ("de", "of")]
        for start in range(len(before)):
            value = _number(reader, before[start:])
            if value:
                return value
        value = _number(reader, said[at + 1 : at + 2])
        if value:
            return value
    return 0


def _number(reader: NumberReader, words: list[str]) -> int:
    """The day of the month that all the words are; 0 where they are none."""
    if len(words) == 1 and (ordinal := re.sub(r"(?<=\d)(?:st|nd|rd|th)$", "", words[0])):
        words = [ordinal]
    if len(words) == 1 and words[0] in _FIRST:
        return _FIRST[words[0]]
    if len(words) == 1 and words[0].isdecimal():
        value = int(words[0])
    else:
        value, used = reader.read(words, 0) if words else (0, 0)
        if used != len(words):
            return 0
    return value if 1 <= value <= 31 else 0


def _year_after(said: list[str], at: int) -> int:
    years = [int(word) for word in said[at + 1 : at + 4] if re.fullmatch(r"20\d\d", word)]
    return years[0] if years else 0


def _next(day: int, month: int, year: int, today: date) -> date | None:
    if year:
        return _make(year, month, day)
    this = _make(today.year, month, day)
    return this if this is not None and this >= today else _make(today.year + 1, month, day)


def _make(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
