"""How English is read aloud: dates, hours, ordinals, fractions, ZIP codes and plain numbers."""

from __future__ import annotations

import re
from datetime import date

from runpod_worker.spoken import shared
from runpod_worker.spoken.counting import (
    decimal,
    digits,
    letters,
    ordinal,
    parse,
    signed,
    words,
    year,
)
from runpod_worker.spoken.quantities import quantities
from runpod_worker.spoken.scanner import Kind, kind
from runpod_worker.spoken.tables import any_of, kinds_of, load_tables


_T = load_tables("en")
_DAY = any_of(_T.days)
_MONTH = _T.month
_N = shared.NUMBER
_MINUS = r"(?:(?<![\w)\]%€$£])([-−–+]))?"
_GOES_ON = r"(?:\.(?=\s(?-i:[a-z])|[,;:)?!…-]))?"
"""The point of an abbreviation, where it ends no sentence."""
_WEEKDAY = any_of(day for day in _T.days if len(day) > 2)
_AM = rf"\s?(a\.?\s?m|p\.?\s?m)\b{_GOES_ON}"
_HOUR = r"(2[0-4]|[01]?\d)(?:(?::|\.(?=\d\d\s?[ap]\.?m\b))([0-5]\d))?"
_TO = r"\s?(?:-|–|—|\bto\b)\s?"
_CALLED = re.compile(r"\b(?:call|dial|text)\s$", re.IGNORECASE)
_YEAR = re.compile(r"(?:1[89]|20)\d{2}\Z")
_YEAR_AFTER = r"(?:,?\s(\d{4})(?!\d))?"


def _date(a_year: int, month: int, day: int) -> str | None:
    a_year += 2000 if a_year < 70 else 1900 if a_year < 100 else 0
    try:
        date(a_year, month, day)
    except ValueError:
        return None
    return f"{_T.months[month - 1]} {ordinal(day, 'en')}, {year(a_year, 'en')}"


def _iso_date(m: re.Match[str]) -> str | None:
    said = _date(int(m[1]), int(m[2]), int(m[3]))
    if said is None or not m[4]:
        return said
    return f"{said} at {_clock(int(m[4]), int(m[5]), 'AM' if int(m[4]) < 12 else 'PM')}"


def _slashed(m: re.Match[str]) -> str | None:
    """Month first where it can be, as in the United States; else day first."""
    first, second, a_year = int(m[1]), int(m[3]), int(m[4])
    return _date(a_year, first, second) or _date(a_year, second, first)


def _month_day(m: re.Match[str]) -> str | None:
    """``2/12`` after "on" or a like word: a day, and no fraction."""
    first, second = int(m[1]), int(m[2])
    month, day = (first, second) if first <= 12 else (second, first)
    said = _date(2000, month, day)
    return said and said.rpartition(",")[0]


def _weekday(m: re.Match[str]) -> str | None:
    """``Mon, 12/06``."""
    month, day = (int(m[2]), int(m[3])) if int(m[2]) <= 12 else (int(m[3]), int(m[2]))
    said = _date(2000, month, day)
    return said and f"{_T.days[m[1].lower()]} {said.rpartition(',')[0]}"


def _named_date(name: str, day: str, last: str | None, a_year: str | None) -> str:
    said = f"{_T.month_name(name)} {ordinal(int(day), 'en')}"
    if last:
        said += f" to {ordinal(int(last), 'en')}"
    return f"{said}, {year(int(a_year), 'en')}" if a_year else said


def _clock(hour: int, minute: int, half: str) -> str:
    said = words((hour - 1) % 12 + 1, "en")
    if minute:
        said += f" {'oh ' if minute < 10 else ''}{words(minute, 'en')}"
    elif not half:
        said += " o'clock"
    return f"{said} {half}".strip()


def _half(mark: str | None, hour: int) -> str:
    """``AM``, ``PM``, or "" where an hour up to 12 does not tell."""
    if mark:
        return f"{mark[0].upper()}M"
    return "PM" if 12 < hour < 24 else "AM" if hour in (0, 24) else ""


def _time(m: re.Match[str]) -> str:
    return _clock(int(m[1]), int(m[2] or 0), _half(m[3], int(m[1])))


def _time_range(m: re.Match[str]) -> str:
    low, high = int(m[1]), int(m[4])
    first, second = _half(m[3], low), _half(m[6], high)
    if high > 12 and not first:
        first = "AM" if low < 12 else "PM"  # a clock of 24 hours
    said = _clock(low, int(m[2] or 0), first).removesuffix(" o'clock")
    return f"{said} to {_clock(high, int(m[5] or 0), second)}"


def _fraction(m: re.Match[str]) -> str | None:
    if m[0] == "50/50":
        return "fifty-fifty"
    if int(m[1]) > 1 and int(m[2]) in (int(m[1]), 10):
        return f"{words(int(m[1]), 'en')} out of {words(int(m[2]), 'en')}"
    if (m[1], m[2]) == ("1", "2") and re.match(r"\s(?:an?|the|of)\b", m.string[m.end() :]):
        return "half"
    return _parts(int(m[1]), int(m[2]))


def _parts(top: int, bottom: int) -> str | None:
    if bottom not in _T.fractions or top > 20 or top == 0:
        return None
    one, many = _T.fractions[bottom]
    article = "a" if top == 1 and bottom in (2, 3, 4) else words(top, "en")
    return f"{article} {one if top == 1 else many}"


def _fraction_of(m: re.Match[str]) -> str | None:
    """``half a pound``, ``three quarters of a teaspoon``."""
    unit = _T.units[m[3].lower()][0]
    unit = f"{'an' if unit[0] in 'aeiou' else 'a'} {unit}"
    part = _parts(int(m[1]), int(m[2]))
    return part and (f"half {unit}" if part == "a half" else f"{part} of {unit}")


def _mixed(m: re.Match[str]) -> str | None:
    top, bottom = shared.PARTS.get(m[2]) or map(int, m[2].split("/"))
    part = _parts(top, bottom)
    return part and f"{words(int(m[1]), 'en')} and {part}"


def _decade(m: re.Match[str]) -> str:
    said = year(int(re.sub(r"\D", "", m[0])), "en")
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def _saint(m: re.Match[str]) -> str | None:
    """``St. John``, but not ``Baker St.``, which ends a sentence or an address."""
    return None if re.search(r"(?:[A-Z]\w*|\d\w\w)\s$", m.string[: m.start()]) else "Saint"


def _plain(m: re.Match[str]) -> str:
    written = m[2]
    whole, _ = parse(written, "en")
    called = len(written) == 3 and _CALLED.search(m.string[: m.start()])
    is_name = written.isdecimal() and len(written) > 6 and not written.endswith("000")
    if re.fullmatch(r"0\d+", written) or len(whole) > 15 or called or is_name:
        return signed(m[1], digits(written, "en"), "en")
    if _YEAR.match(written) and not m[1]:
        return year(int(written), "en")
    return signed(m[1], decimal(written, "en"), "en")


def _range(m: re.Match[str]) -> str | None:
    if re.match(r"0\d", m[1]) or re.match(r"0\d", m[2]):
        return None
    if re.match(r"\s?=", m.string[m.end() :]):
        return f"{decimal(m[1], 'en')} minus {decimal(m[2], 'en')}"
    low, high = (
        year(int(each), "en") if _YEAR.match(each) else decimal(each, "en") for each in (m[1], m[2])
    )
    return f"{low} to {high}"


KINDS: tuple[Kind, ...] = (
    kind("iso date", r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2})?"
         r"(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\w-])", _iso_date),
    kind("date", r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-])(?!\.\d)", _slashed),
    kind("month and day", r"(?<=\b(?:on|by)\s)(\d{1,2})/(\d{1,2})(?![\w/])", _month_day),
    kind("named date", rf"({_MONTH})\b\.?\s(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)"
         rf"(?:\s?[-–]\s?(\d{{1,2}})\b)?{_YEAR_AFTER}",
         lambda m: _named_date(m[1], m[2], m[3], m[4])),
    kind("named date", rf"(\d{{1,2}})(?:st|nd|rd|th)?\s({_MONTH})\b(?:\.(?=\s\d))?{_YEAR_AFTER}",
         lambda m: _named_date(m[2], m[1], None, m[3])),
    *shared.identifiers("en"),
    kind("zip", r"([A-Z]{2})\s(\d{5})(?:-(\d{4}))?(?![\w-])",
         lambda m: f"{letters(m[1], 'en')}, {digits(m[2] + (m[3] or ''), 'en')}", cased=True),
    kind("feet and inches", rf"({_N})\s?(?:ft|')\s?({_N})\s?(?:in\b|\"|''){_GOES_ON}",
         lambda m: f"{decimal(m[1], 'en')} feet {decimal(m[2], 'en')} inches"),
    kind("decade", r"(?:['’]\d|(?<=the )\d|(?:1[89]|20)\d)0s\b", _decade),
    *quantities("en"),
    kind("weekday", rf"({_WEEKDAY})\.?,?\s(\d{{1,2}})/(\d{{1,2}})(?![\w/])", _weekday),
    kind("ratio", r"(\d{1,3}):(\d|\d{3,4})(?![\w:])",
         lambda m: f"{words(int(m[1]), 'en')} to {words(int(m[2]), 'en')}"),
    kind("half", r"½\s(?=([a-z]))(?!of\b)", lambda m: f"half {'an' if m[1] in 'aeiou' else 'a'} "),
    kind("below one", r"(?<![\w.])\.\d+(?![\w.])", lambda m: decimal(f"0{m[0]}", "en")),
    kind("time range", rf"{_HOUR}(?:{_AM})?{_TO}{_HOUR}{_AM}", _time_range),
    kind("time range", rf"{_HOUR}(?<=:\d\d)(){_TO}{_HOUR}(?<=:\d\d)()(?![\w:])", _time_range),
    kind("time", rf"{_HOUR}{_AM}", _time),
    kind("time", rf"{_HOUR}(?<=:\d\d)(?::[0-5]\d)?()(?![\w:])", _time),
    kind("ordinal", r"(\d{1,3})(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1]), "en")),
    kind("mixed number", r"(\d{1,3})\s?([½¼¾⅓⅔]|(?<=\s)\d/\d(?![\w/]))", _mixed),
    kind("fraction of a unit", r"([1-9])/([2-9])\s?(tsp|tbsp|oz|lb|gal|mi|kg|km)\b\.?",
         _fraction_of),
    kind("fraction", r"(\d{1,2})/(\d{1,2})(?![\w/])", _fraction),
    kind("days", rf"({_DAY})\.?\s?[-–]\s?({_DAY})\b{_GOES_ON}",
         lambda m: f"{_T.days[m[1].lower()]} to {_T.days[m[2].lower()]}"),
    kind("range", rf"(?<![\w-])({_N})\s?[-–—]\s?({_N})(?![\w-])", _range),
    kind("day", r"(Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun)\.(?=,|\s[a-zA-Z])",
         lambda m: _T.days[m[1].lower()], cased=True),
    kind("month", rf"(?<=\b(?:in|of|by)\s)({any_of(_T.short_months)})\.",
         lambda m: _T.month_name(m[1])),
    kind("plus", r"(?<=\w)(?:\+|\s\+\s)(?=\w)", " plus "),
    kind("control", r"ctrl(?=\s?\+)", "control"),
    kind("times", r"(?<=\d)\sx\s(?=[€$£]?\d)", " times "),
    kind("circa", r"c\.\s?(?=\d)", "circa ", cased=True),
    kind("saint", r"St\.(?=\s[A-Z])", _saint, cased=True),
    *kinds_of(_T),
    kind("plus", r"\+(?=\s?\d)", "plus "),
    kind("equals", r"\s=\s|(?<=\d)=(?=[\d-])", " equals "),
    kind("or", r"(?<=[a-z])/(?=[a-z])", " or "),
    kind("number", rf"{_MINUS}({_N})", _plain),
)  # fmt: skip
