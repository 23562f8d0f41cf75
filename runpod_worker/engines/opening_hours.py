"""Which day a caller means, and which days a passage about opening hours names. Pure.

The day of "mañana" comes from the date that is passed in. A passage names days one by one or from
one to another ("de lunes a viernes", "Monday to Friday").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from kb.normal.words import plain_words
from kb.passage import Language


WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_SATURDAY = 5
# Tried in order: how many days from today.
_RELATIVE: dict[Language, tuple[tuple[re.Pattern[str], int], ...]] = {
    "es": (
        (re.compile(r"\bpasado mañana\b"), 2),
        (re.compile(r"(?<!la )(?<!de )\bmañana\b"), 1),
        (re.compile(r"\b(?:hoy|ahora|esta (?:mañana|tarde|noche)|todavia|aun)\b"), 0),
    ),
    "en": (
        (re.compile(r"\bday after tomorrow\b"), 2),
        (re.compile(r"\btomorrow\b"), 1),
        (re.compile(r"\b(?:today|tonight|now|this (?:morning|afternoon|evening)|still)\b"), 0),
    ),
}
_WEEKEND = re.compile(r"\bfines? de semana\b|\bfindes?\b|\bweekends?\b")
_NAMES = {plain_words(name): at for names in WEEKDAYS.values() for at, name in enumerate(names)}
_DAY = rf"({'|'.join(_NAMES)})s?"
_RANGE = re.compile(rf"\b{_DAY} (?:a|to|through|until|hasta) {_DAY}\b")
_ONE = re.compile(rf"\b{_DAY}\b")


@dataclass(frozen=True, slots=True)
class Day:
    """The day a question is about. ``weekday``: 0 is Monday. ``offset_days``: from today, where
    it was said so ("mañana"), else None ("los sábados")."""

    weekday: int
    offset_days: int | None = None


def asked_day(question: str, language: Language, today: date) -> Day | None:
    """Return the day that the question names, of a weekend its Saturday; None of none."""
    words = plain_words(question)
    named = _ONE.search(words)
    if named:
        return Day(_NAMES[named[1]])
    if _WEEKEND.search(words):
        return Day(_SATURDAY)
    for pattern, offset_days in _RELATIVE[language]:
        if pattern.search(words):
            return Day((today + timedelta(days=offset_days)).weekday(), offset_days)
    return None


def named_days(text: str) -> frozenset[int]:
    """Return the weekdays that a text names, 0 is Monday; those between two ends are meant too."""
    words = plain_words(text)
    days = {_NAMES[match[1]] for match in _ONE.finditer(words)}
    for match in _RANGE.finditer(words):
        first, last = _NAMES[match[1]], _NAMES[match[2]]
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(days)


def write_day(day: Day, language: Language, *, named: bool) -> str:
    """Return what is said before the passage, or ''; ``named``: whether that names the day."""
    name = WEEKDAYS[language][day.weekday]
    if language == "es":
        known = {0: f"Hoy es {name}", 1: f"Mañana es {name}", 2: f"Pasado mañana es {name}"}
        plural = name if name.endswith("s") else f"{name}s"
        missing = f"El horario no dice nada de los {plural}."
    else:
        known = {
            0: f"Today is {name}",
            1: f"Tomorrow is {name}",
            2: f"The day after tomorrow is {name}",
        }
        missing = f"The opening hours say nothing of {name}s."
    said = f"{known[day.offset_days]}." if day.offset_days is not None else ""
    return said if named else f"{said} {missing}".strip()
