"""When a caller wants to be called back: "mañana a las cinco y media", "in two hours". Pure.

Spanish and English. An hour without a part of the day is one at which people are called: from eight
in the morning on. What is not understood is no moment: no call is placed at a guess.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta


EARLIEST_HOUR = 8
_NUMBERS = {
    word: value
    for words in (
        "cero una dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "zero one two three four five six seven eight nine ten eleven twelve",
        "0 1 2 3 4 5 6 7 8 9 10 11 12",
    )
    for value, word in enumerate(words.split())
} | {"un": 1, "media": 0.5, "half": 0.5, "an": 1, "a": 1, "quince": 15, "veinte": 20, "treinta": 30}
_DAYS = {
    word: day
    for words in (
        "lunes martes miercoles jueves viernes sabado domingo",
        "monday tuesday wednesday thursday friday saturday sunday",
    )
    for day, word in enumerate(words.split())
}
_PARTS = (
    (r"(de|por|a) la manana|\bam\b|in the morning", 10, "morning"),
    (r"mediodia|\bnoon\b", 12, "noon"),
    (r"(de|por|esta|a) (la )?tarde|\bpm\b|(in the|this) (afternoon|evening)", 17, "afternoon"),
    (r"(de|por|esta|a) (la )?noche|tonight|at night", 20, "night"),
)
_IN = re.compile(
    r"\b(?:en|dentro de|in)\s+(\w+)\s+(minuto|hora|dia|minute|hour|day)s?\b(\s+y media)?"
)
_AT = re.compile(
    r"\b(?:a las?|sobre las?|at|around)\s+(\w+)(?:[:.h](\d\d))?"
    r"(\s+y media|\s+y cuarto|\s+menos cuarto)?"
)
_CLOCK = re.compile(r"\b([01]?\d|2[0-3])[:.h]([0-5]\d)\b")
_EXTRA = {" y media": 30, " y cuarto": 15, " menos cuarto": -15, "": 0}


def read_moment(text: str, now: datetime) -> datetime | None:
    """The moment that a text names, in the zone of ``now``; None where it names none.

    Args:
        now: where the caller is, with a zone.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return _read(_plain(text), now)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)


def _read(text: str, now: datetime) -> datetime | None:
    if found := _IN.search(text):
        count = _number(found[1])
        if count is None:
            return None
        unit = {"m": 1, "h": 60, "d": 1440}[found[2][0]]
        return now + timedelta(minutes=(count + 0.5 * bool(found[3])) * unit)
    days, rest = _day(text, now)
    part = next(((hour, name) for pattern, hour, name in _PARTS if re.search(pattern, rest)), None)
    at = _hour(rest, part[1] if part else "")
    if at is None and part is not None:
        at = part[0], 0
    if at is None:
        return None
    moment = now.replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    moment += timedelta(days=days or 0)
    if days is None and moment <= now:
        moment += timedelta(days=1)
    return moment if moment > now else None


def _day(text: str, now: datetime) -> tuple[int | None, str]:
    """How many days ahead; None where no day is named. With the text that names no day."""
    if found := re.search(r"pasado manana|day after tomorrow", text):
        return 2, text.replace(found[0], "")
    for word, day in _DAYS.items():
        if re.search(rf"\b{word}\b", text):
            return (day - now.weekday() - 1) % 7 + 1, text
    without = re.sub(r"(?<!la )\bmanana\b|\btomorrow\b", "", text, count=1)
    if without != text:
        return 1, without
    return (0 if re.search(r"\bhoy\b|\btoday\b|esta (tarde|noche)|tonight", text) else None), text


def _hour(text: str, part: str) -> tuple[int, int] | None:
    if found := _CLOCK.search(text):
        hour, minute = int(found[1]), int(found[2])
    elif found := _AT.search(text):
        number = int(found[1]) if found[1].isdecimal() else _number(found[1])
        if number is None or not 0 <= number <= 23 or number != int(number):
            return None
        minute = _EXTRA[re.sub(r"\s+", " ", found[3] or "")] + int(found[2] or 0)
        hour = int(number)
        if minute < 0:
            hour, minute = hour - 1, minute + 60
    else:
        return None
    is_late = part in ("afternoon", "night") or (not part and 0 < hour < EARLIEST_HOUR)
    if is_late and hour < 12:
        hour += 12
    return hour % 24, minute


def _number(word: str) -> float | None:
    return float(word) if word.isdecimal() else _NUMBERS.get(word)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in folded if not unicodedata.combining(c))
