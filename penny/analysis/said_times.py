"""Times of day as they are said: "a las cinco y media de la tarde", "half past ten". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penny.analysis.words import plain
from penny.calls.numbers import Number, read_numbers


_PART = (
    r"(?:(?:de|por|en)\s+la\s+)?(?P<part>manana|tarde|noche|madrugada)"
    r"|(?:del?|al?)\s+(?P<noon>mediodia)|(?P<half>[ap])\.?\s?m\b\.?"
    r"|in\s+the\s+(?P<english>morning|afternoon|evening)"
)
_BEHIND = re.compile(rf"^(?:\s+(?:en\s+punto|horas?|o'?\s?clock|h\b))?[\s,]*(?:{_PART})?")
_BEFORE = re.compile(r"\b(?:por|de|en)\s+la\s+(manana|tarde|noche|madrugada)[\s,]*$")
_AT = re.compile(
    r"\b(?:(?P<sure>a|sobre|hacia|desde|hasta|para|entre|antes\s+de|despues\s+de|de|y)\s+)?"
    r"(?:las?|at)\s+$"
)
_PAST = re.compile(r"\b(half|quarter|[\w-]+)\s+(past|to)\s+$")
_WRITTEN = re.compile(r"(?<![\d:.,])([01]?\d|2[0-3])\s?(?::|h)\s?([0-5]\d)(?![\d:])")
_QUARTERS = re.compile(r"^\s+(?:(y)\s+(media|cuarto)|(menos)\s+(cuarto))\b")
_SIGN = re.compile(r"\s+(?:(y|menos)\s+)?")
_NAMED = re.compile(r"\b(?:al?|hasta(?:\s+el)?)\s+(mediodia|medianoche)\b|\b(noon|midnight)\b")
_OF_DAY = {"afternoon": "tarde", "evening": "noche", "morning": "manana", "p": "tarde", "a": "am"}
_MINUTES = {"media": 30, "cuarto": 15, "half": 30, "quarter": 15}

Found = tuple[str, int, int]
"""A time (``17:30``; as it was said where no part of the day is), and from where to where."""


def read_times(text: str) -> Iterator[Found]:
    """The times of a text."""
    folded = plain(text)
    for found in _WRITTEN.finditer(folded):
        part, end = _part_of_day(folded, found.start(), found.end())
        yield _told(int(found.group(1)), int(found.group(2)), part), found.start(), end
    for found in _NAMED.finditer(folded):
        is_noon = (found.group(1) or found.group(2)) in ("mediodia", "noon")
        yield ("12:00" if is_noon else "00:00"), *found.span()
    numbers = list(read_numbers(text))
    for at, hour in enumerate(numbers):
        follows = numbers[at + 1] if at + 1 < len(numbers) else None
        if hour.value <= 24 and len(hour.digits) <= 2:
            yield from _spoken(folded, hour, follows)


def _spoken(text: str, hour: Number, follows: Number | None) -> Iterator[Found]:
    before = _AT.search(text[: hour.start])
    past = _PAST.search(text[: hour.start])
    if before is None and past is None:
        return
    minutes, end = _minutes(text, hour, follows)
    is_sure = end > hour.end or past is not None or (before is not None and before["sure"])
    start = before.start() if before is not None else hour.start
    if past is not None:
        said = next((n.value for n in read_numbers(past.group(1))), _MINUTES.get(past.group(1)))
        if said is None:
            return
        minutes, start = (said if past.group(2) == "past" else -said), past.start()
    part, until = _part_of_day(text, start, end)
    if (is_sure and not _is_of_something(text[until:])) or until > end:
        yield _told(hour.value, minutes, part), start, until


def _is_of_something(rest: str) -> bool:
    """Whether the number counts what follows: "a las dos facturas"."""
    word = re.match(r"\s+([a-z]+)", rest)
    plural = word is not None and word.group(1).endswith("s") and len(word.group(1)) > 3
    return plural and word is not None and word.group(1) not in _NO_THINGS


_NO_THINGS_WORDS = (
    "lunes martes miercoles jueves viernes entonces pues estaba gracias menos mas vamos tenemos"
    " podemos quedamos nos horas"
)
_NO_THINGS = frozenset(_NO_THINGS_WORDS.split())


def _minutes(text: str, hour: Number, follows: Number | None) -> tuple[int, int]:
    if quarter := _QUARTERS.match(text[hour.end :]):
        minutes = _MINUTES[quarter.group(2) or quarter.group(4)]
        return (minutes if quarter.group(1) else -minutes), hour.end + quarter.end()
    sign = _SIGN.fullmatch(text[hour.end : follows.start]) if follows is not None else None
    if sign is None or follows is None or follows.value > 59 or len(follows.digits) > 2:
        return 0, hour.end
    if sign.group(1) is None and follows.value < 10:
        return 0, hour.end
    if re.match(r"\s+(?:de\s+(?!la\b)|euros?|minutos\s+de)", text[follows.end :]):
        return 0, hour.end
    return (-follows.value if sign.group(1) == "menos" else follows.value), follows.end


def _part_of_day(text: str, start: int, end: int) -> tuple[str, int]:
    """The part of the day that is said behind a time or right before it, and where it ends."""
    behind = _BEHIND.match(text[end:])
    if behind is not None:
        told = behind["part"] or behind["noon"] or behind["half"] or behind["english"]
        if told:
            return _OF_DAY.get(told, told), end + behind.end()
    before = _BEFORE.search(text[:start])
    return (before.group(1) if before is not None else ""), end


def _told(hour: int, minutes: int, part: str) -> str:
    is_later = {"tarde": hour < 12, "noche": 6 <= hour <= 12, "mediodia": hour < 4}
    if is_later.get(part, False):
        hour += 12
    elif part in ("madrugada", "am") and hour == 12:
        hour = 0
    whole = (hour * 60 + minutes) % (24 * 60)
    return f"{whole // 60:02d}:{whole % 60:02d}"
