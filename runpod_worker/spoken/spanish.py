"""How Spanish is read aloud: dates, hours, ordinals, fractions, postcodes and plain numbers."""

from __future__ import annotations

import re
from datetime import date

from runpod_worker.spoken import shared
from runpod_worker.spoken.counting import (
    before_noun,
    decimal,
    digits,
    is_counted,
    is_feminine,
    letters,
    ordinal,
    parse,
    signed,
    words,
)
from runpod_worker.spoken.quantities import link, quantities
from runpod_worker.spoken.scanner import Kind, kind
from runpod_worker.spoken.tables import any_of, kinds_of, load_tables


_T = load_tables("es")
_N = shared.NUMBER
_MINUS = r"(?:(?<![\w)\]%€])([-−–+]))?"
_DAY = any_of(_T.days)
_SHORT_MONTH = any_of(_T.short_months)
_HOUR = r"([01]?\d|2[0-4])"
_GOES_ON = r"(?:\.(?=\s(?-i:[a-záéíóúñ])|[,;:)?!…]))?"
"""The point of an abbreviation, where it ends no sentence."""
_H = rf"(?:h|hs|hrs|horas)\b{_GOES_ON}"
_NAMING = re.compile(
    r"\b(?:números?|n\.º|el|la|opci[oó]n|p[aá]gina|cap[ií]tulo|l[ií]nea|piso|planta|portal|puerta|"
    r"bloque|paso|art[ií]culo|sala|mesa|zona|nivel|fase|versi[oó]n|pedido|factura|incidencia)\s$"
    r"|#$",
    re.IGNORECASE,
)
_DATE_BEFORE = re.compile(
    r"\b(?:el|d[ií]as?|del|al|desde|hasta|antes de|fecha:?|vence|desde el)\s$", re.IGNORECASE
)
_AT_HOUR = re.compile(
    r"\b(?:(?:a|de|desde|hasta|sobre|entre|hacia|y|son|es) las?|de \d{1,2} a)\s$", re.IGNORECASE
)
_SAYS_HOUR = re.compile(r"\b(?:las?|desde|hasta|de|a|y|entre|sobre)\s+$", re.IGNORECASE)
_HOUR_BEFORE = re.compile(
    r"\b(?:(?:a|de|desde|hasta|sobre|entre|hacia|y|son|es)(?: las?)?)\s$", re.IGNORECASE
)
_RATIO_BEFORE = re.compile(
    r"\b(?:escala|ratio|proporci[oó]n|relaci[oó]n|raz[oó]n)(?: de)?:?\s$", re.IGNORECASE
)
_LAS = re.compile(r"\b(?:las|una de las|unas)\s$", re.IGNORECASE)
_ALSO_AFTER_ORDINAL = ("izquierda", "derecha", "izq", "dcha", "izda", "exterior", "interior")


def _date(year: int, month: int, day: int) -> str | None:
    year += 2000 if year < 70 else 1900 if year < 100 else 0
    try:
        date(year, month, day)
    except ValueError:  # not a date after all: a code of that shape
        return None
    return f"{words(day, 'es')} de {_T.months[month - 1]} de {words(year, 'es')}"


def _iso_date(m: re.Match[str]) -> str | None:
    said = _date(int(m[1]), int(m[2]), int(m[3]))
    if said is None or not m[4]:
        return said
    article = "la" if int(m[4]) == 1 else "las"
    return f"{said} a {article} {_hour(int(m[4]), int(m[5]))}"


def _day_month(m: re.Match[str]) -> str | None:
    day, month = int(m[1]), int(m[2])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    is_sure = m[0] != "24/7" and (m[1][0] == "0" or m[2][0] == "0" or day > month or month > 10)
    if not is_sure and not _DATE_BEFORE.search(m.string[: m.start()]):
        return None
    return f"{words(day, 'es')} de {_T.months[month - 1]}"


def _short_month(m: re.Match[str]) -> str:
    year = f" de {words(int(m[3]), 'es')}" if m[3] else ""
    return f"{words(int(m[1]), 'es')} de {_T.month_name(m[2])}{year}"


def _years(m: re.Match[str]) -> str:
    second = m[2] if len(m[2]) == 4 else m[1][:2] + m[2]
    return f"{words(int(m[1]), 'es')}, {words(int(second), 'es')}"


def _hour(hour: int, minute: int, half: str = "") -> str:
    """``nueve y cuarto``; from 13 on, and at 0, as on a timetable: ``trece treinta``."""
    twelve = (hour - 1) % 12 + 1 if half else hour
    said = _feminine(twelve)
    if minute and 1 <= twelve <= 12:
        said += f" y {({15: 'cuarto', 30: 'media'}).get(minute) or words(minute, 'es')}"
    elif minute:
        said += f" {'cero ' if minute < 10 else ''}{words(minute, 'es')}"
    return f"{said} {half}".strip()


def _half(mark: str, hour: int) -> str:
    if mark.lower().startswith("a"):
        return "de la noche" if hour == 12 else "de la madrugada" if hour < 6 else "de la mañana"
    return "del mediodía" if hour == 12 else "de la tarde" if hour < 9 else "de la noche"


def _time(m: re.Match[str]) -> str:
    seconds = int(m[3] or 0)
    unit = "segundo" if seconds == 1 else "segundos"
    tail = f" y {before_noun(words(seconds, 'es'), unit)} {unit}" if seconds else ""
    # Bare "dieciocho" is no hour; after "las" or "de … a" it is.
    before, after = m.string[: m.start()], m.string[m.end() :]
    is_said = _SAYS_HOUR.search(before) or re.match(r"\s(?:a|y|-)\s\d", after)
    stands_alone = not (int(m[2]) or tail or is_said) and int(m[1]) > 12
    return _hour(int(m[1]), int(m[2])) + tail + (" horas" if stands_alone else "")


def _time_range(m: re.Match[str]) -> str:
    low, high = int(m[1]), int(m[3])
    if not (m[2] or m[4]) and low < high <= low + 2:  # so short a span is how long it takes
        return f"{_feminine(low)} a {_feminine(high)} horas"
    return f"{_hour(int(m[1]), int(m[2] or 0))} a {_hour(int(m[3]), int(m[4] or 0))}"


def _hours(m: re.Match[str]) -> str:
    at_hour = _HOUR_BEFORE.search(m.string[: m.start()]) and not m[0].lower().endswith("horas")
    if int(m[1]) <= 24 and at_hour:
        return _hour(int(m[1]), 0)
    return f"{_feminine(int(m[1]))} {'hora' if m[1] == '1' else 'horas'}"


def _feminine(number: int) -> str:
    return before_noun(words(number, "es"), "horas")


def _following(m: re.Match[str]) -> str:
    """The next word, lower case, if it may be a noun that this counts."""
    found = re.match(r"\s([^\W\d_]+)", m.string[m.end() :])
    word = found[1] if found else ""
    return word if word.islower() and word not in _T.no_nouns else ""


def _ordinal(m: re.Match[str]) -> str | None:
    mark = (m[2] or m[3] or m[4]).lower()
    if mark == "°" and not re.match(
        r"\s?(?:[A-Z]\b|izq|dcha|der|piso|planta)", m.string[m.end() :]
    ):
        return None  # degrees
    if mark == "er":
        return ordinal(int(m[1]), "es", "er")
    ending = {"º": "o", "°": "o", "ª": "a"}.get(mark) or re.sub(r"^[^oa]", "", mark)
    said = ordinal(int(m[1]), "es", ending)
    noun = _following(m)
    counts = len(noun) > 2 and noun not in _ALSO_AFTER_ORDINAL
    return said[:-1] if counts and said.endswith(("primero", "tercero")) else said


def _fraction(m: re.Match[str]) -> str | None:
    top, bottom = int(m[1]), int(m[2])
    if top == bottom == 50:
        return "cincuenta cincuenta"
    if top > 1 and (top == bottom or bottom == 10):
        return f"{words(top, 'es')} de {words(bottom, 'es')}"
    if bottom not in _T.fractions or top > 20 or top == 0:
        return None
    one, many = _T.fractions[bottom]
    noun = _following(m)
    if noun in ("parte", "partes"):
        name = re.sub(r"o(s?)$", r"a\1", many if top > 1 else one)
        return f"{before_noun(words(top, 'es'), noun)} {name}"
    if (top, bottom) == (1, 2) and noun:
        return "media" if is_feminine(noun) else "medio"
    return f"un {one}" if top == 1 else f"{words(top, 'es')} {many}"


def _fraction_of(m: re.Match[str]) -> str | None:
    """``medio kilo``, ``tres cuartos de hora``."""
    unit = "hora" if m[3].lower() == "h" else _T.units[m[3].lower()][0]
    top, bottom = shared.PARTS.get(m[0][0]) or (int(m[1]), int(m[2]))
    if (top, bottom) == (1, 2):
        return f"{'media' if is_feminine(unit) else 'medio'} {unit}"
    one, many = _T.fractions[bottom]
    part = f"un {one}" if top == 1 else f"{words(top, 'es')} {many}"
    return f"{part} de {unit}"


def _minutes(m: re.Match[str]) -> str | None:
    """``15'``, unless that closes what was quoted."""
    if len(re.findall(r"(?<!\w)['‘]|['’](?!\w)", m.string[: m.start()])) % 2:
        return None
    noun = "minuto" if m[1] == "1" else "minutos"
    return f"{before_noun(words(int(m[1]), 'es'), noun)} {noun}"


def _minutes_seconds(m: re.Match[str]) -> str:
    said = [
        f"{before_noun(words(int(each), 'es'), noun)} {noun if int(each) == 1 else noun + 's'}"
        for each, noun in zip(m.groups(), ("minuto", "segundo"), strict=True)
    ]
    return " ".join(said)


def _ratio(m: re.Match[str]) -> str | None:
    """``3:1``, and ``1:50`` where no hour is meant."""
    is_named = _RATIO_BEFORE.search(m.string[: m.start()])
    if len(m[2]) == 2 and not is_named:
        return None
    return f"{words(int(m[1]), 'es')} a {words(int(m[2]), 'es')}"


def _mixed(m: re.Match[str]) -> str | None:
    """``1 ½ horas``: what is counted comes between, and as one if it is one."""
    top, bottom = shared.PARTS.get(m[2]) or map(int, m[2].split("/"))
    if bottom not in _T.fractions or not 0 < top < bottom:
        return None
    one, many = _T.fractions[bottom]
    noun = m[3] or ""
    part = f"un {one}" if top == 1 else f"{words(top, 'es')} {many}"
    if (top, bottom) == (1, 2):
        part = "media" if noun and is_feminine(noun) else "medio"
    count = before_noun(words(int(m[1]), "es"), noun) if noun else words(int(m[1]), "es")
    if m[1] == "1":
        noun = re.sub(r"(?<=[aeo])s$", "", noun)
    return f"{count} {noun} y {part}" if noun else f"{count} y {part}"


def _postcode(m: re.Match[str]) -> str | None:
    return digits(m[1], "es") if 1 <= int(m[1][:2]) <= 52 else None


def _crossing(m: re.Match[str]) -> str:
    """``Carrera 7 # 12-34`` of Colombia."""
    first, last = words(int(m[1]), "es"), words(int(m[3]), "es")
    return f"número {first} {m[2]}".strip() + f", {last}"


def _plain(m: re.Match[str]) -> str:
    written = m[2]
    whole, tail = parse(written, "es")
    is_name = written.isdecimal() and len(written) > 6 and not written.endswith("000")
    if re.fullmatch(r"0\d+", written) or len(whole) > 15 or is_name:
        return signed(m[1], digits(written, "es"), "es")
    said = signed(m[1], decimal(written, "es"), "es")
    before = m.string[: m.start()]
    noun = m["noun"]
    counts = noun and is_counted(int(whole), noun)
    if _AT_HOUR.search(before) and not tail and not counts and int(whole) <= 24:
        return before_noun(said, "horas")
    if tail or _NAMING.search(before):
        return said
    if noun and counts:
        return before_noun(said, noun)
    return before_noun(said, "cosas") if _LAS.search(before) else said


def _range(m: re.Match[str]) -> str | None:
    if re.match(r"0\d", m[1]) or re.match(r"0\d", m[2]):
        return None
    if re.match(r"\s?=", m.string[m.end() :]):
        return f"{decimal(m[1], 'es')} menos {decimal(m[2], 'es')}"
    noun = m["noun"] or ""
    first, last = decimal(m[1], "es"), decimal(m[2], "es")
    return first + link(m, "es") + (before_noun(last, noun) if noun.endswith("s") else last)


KINDS: tuple[Kind, ...] = (
    kind("iso date", r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2})?"
         r"(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\w-])", _iso_date),
    kind("date", r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-])(?!\.\d)",
         lambda m: _date(int(m[4]), int(m[3]), int(m[1]))),
    kind("day and month", r"(\d{1,2})/(\d{1,2})(?![\w/])", _day_month),
    kind("short month", rf"(\d{{1,2}})[-\s/]?(?:de\s)?({_SHORT_MONTH})(?:\.|(?=[-/])|(?=\s\d{{4}})|"
         r"(?=\sde\s\d{4}))(?:[-/\s](?:de\s)?(\d{4}))?(?!\w)", _short_month),
    kind("years", r"((?:19|20)\d{2})/(\d{4}|\d{2})(?![\w/])", _years),
    *kinds_of(_T),
    *shared.identifiers("es"),
    kind("plate", r"(\d{4})[ -]?([BCDFGHJ-NPR-TV-Z]{3})(?!\w)",
         lambda m: f"{digits(m[1], 'es')}, {letters(m[2], 'es')}", cased=True),
    kind("ordinal", r"(\d{1,3})(?:\.?([ºª°])|\.?(er|[rdtmvn][oa]s?)\b(?:\.(?=\s[a-z]))?|"
         r"\.([oa]s?)\b)", _ordinal),
    *quantities("es"),
    kind("ratio", r"(\d{1,3}):(\d{1,4})(?![\w:])", _ratio),
    kind("time range", rf"{_HOUR}(?:[:.]([0-5]\d))?\s?(?:h\s?)?[-–—]\s?{_HOUR}"
         rf"(?:[:.]([0-5]\d))?\s?{_H}", _time_range),
    kind("time range", rf"{_HOUR}:([0-5]\d)\s?[-–—]\s?{_HOUR}:([0-5]\d)(?![\w:])", _time_range),
    kind("twelve hours", rf"(1[0-2]|0?[1-9])(?:[:.]([0-5]\d))?\s?(a\.?\s?m|p\.?\s?m)\b{_GOES_ON}",
         lambda m: _hour(int(m[1]), int(m[2] or 0), _half(m[3], int(m[1])))),
    kind("time", rf"{_HOUR}(?::|(?=\.\d\d\s?h)\.|h)([0-5]\d)(?::([0-5]\d))?(?:\s?{_H})?(?![\w:])",
         _time),
    kind("time", rf"(?<=\blas ){_HOUR}\.([0-5]\d)()(?!\w|[.,]\d|\s?[%€])", _time),
    kind("minutes", r"(\d{1,3})\s?['’′](?!\w)", _minutes),
    kind("decade", r"(\d0)['’]s\b", lambda m: words(int(m[1]), "es")),
    kind("hours", rf"(\d{{1,3}})\s?[-–—]\s?(\d{{1,3}})\s?{_H}",
         lambda m: f"{words(int(m[1]), 'es')} a {_feminine(int(m[2]))} horas"),
    kind("hours", rf"(\d{{1,3}},\d{{1,2}})\s?{_H}", lambda m: f"{decimal(m[1], 'es')} horas"),
    kind("hours", rf"(\d{{1,3}})\s?{_H}", _hours),
    kind("mixed number", r"(\d{1,3})\s?([½¼¾⅓⅔]|(?<=\s)\d/\d(?![\w/]))(?:\s([a-záéíóúñ]+s)\b)?",
         _mixed),
    kind("fraction", r"(\d{1,2})/(\d{1,2})(?![\w/])", _fraction),
    kind("fraction of a unit", r"(?:([1-9])/([2-9])|[½¼¾])\s?(kg|km|l|m|h)(?!\w)", _fraction_of),
    kind("fraction", r"½(?=\s[a-z])", lambda m: "media" if is_feminine(_following(m)) else "medio"),
    kind("postcode", r"(?:C\. ?P\.|CP|c[oó]digo postal):?\s?(\d{5})(?!\d)",
         lambda m: f"código postal {digits(m[1], 'es')}"),
    kind("postcode", r"(\d{5})(?=\s[A-ZÁÉÍÓÚ][a-záéíóú])", _postcode, cased=True),
    kind("postcode", r"(?<=[a-záéíóúñ], )(\d{5})(?=\.?\s*$)", _postcode),
    kind("crossing", r"(?<!\w)#\s?(\d{1,3})([A-Z]?)\s?-\s?(\d{1,3})(?![\w-])", _crossing),
    kind("days", rf"({_DAY})\.?\s?(?:[-–]|(?<=\s)a\s)\s?({_DAY})(?!\w)(?:\.(?=\s?[,\d]))?",
         lambda m: f"{_T.days[m[1].lower()]} a {_T.days[m[2].lower()]}"),
    kind("range", rf"(?<![\w-])({_N})\s?[-–—]\s?({_N})(?![\w-])(?=(?:\s(?P<noun>[^\W\d_]+))?)",
         _range),
    kind("weekday", rf"({any_of(day for day in _T.days if len(day) == 3)})\.?(?=,?\s\d)",
         lambda m: _T.days[m[1].lower()]),
    kind("telephone's name", r"(?:tel|telf|tfno|tfn|tlf)(?=:|\s[\d+(])", "teléfono"),
    kind("times", r"(?<=\d)\s?\*\s?(?=\d)", " por "),
    kind("minutes and seconds", r"(\d{1,2})\s?['′]\s?(\d{1,2})\s?(?:[\"″”]|'')", _minutes_seconds),
    kind("plus", r"\+(?=\s?\d)", "más "),
    kind("plus", r"(?<=\w)(?:\+|\s\+\s)(?=\w)", " más "),
    kind("control", r"ctrl(?=\s?\+)", "control"),
    kind("equals", r"\s=\s|(?<=\d)=(?=[\d-])", " igual a "),
    kind("initials", r"(?:[A-Z]\.){2,}(?!\w)", lambda m: letters(m[0].replace(".", ""), "es"),
         cased=True),
    kind("either ending", r"([^\W\d_]+)o(s?)/as?(?!\w)",
         lambda m: f"{m[1]}o{m[2]} o {m[1].lower()}a{m[2]}"),
    kind("or", r"(?<=[a-záéíóúñ])/(?=[a-záéíóúñ])", " o "),
    kind("number", rf"{_MINUS}({_N})(?=(?:[ \u00a0](?P<noun>[^\W\d_]+))?)", _plain),
)  # fmt: skip
