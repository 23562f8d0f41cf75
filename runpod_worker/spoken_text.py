"""Writes what eSpeak NG reads badly the way a person would say it, in Spanish and in English.

Pure. Amounts, dates, times, codes, e-mail addresses, telephone numbers and percentages; anything
else passes as it is, for eSpeak reads plain words and plain numbers well. The text returned is
for the synthesis only: transcripts keep the original.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Literal

from num2words import num2words


Speech = Literal["es", "en"]

_MONTHS = {
    "es": "enero febrero marzo abril mayo junio julio "
    "agosto septiembre octubre noviembre diciembre",
    "en": "January February March April May June July August September October November December",
}
_SYMBOLS = {
    "es": {"@": "arroba", ".": "punto", "-": "guion", "_": "guion bajo", "+": "más"},
    "en": {"@": "at", ".": "dot", "-": "dash", "_": "underscore", "+": "plus"},
}
_SLASH = {"es": "barra", "en": "slash"}
_PER_CENT = {"es": "por ciento", "en": "per cent"}
# (one, many, one hundredth, hundredths)
_CURRENCIES = {
    "es": {
        "€": ("euro", "euros", "céntimo", "céntimos"),
        "$": ("dólar", "dólares", "centavo", "centavos"),
        "£": ("libra", "libras", "penique", "peniques"),
    },
    "en": {
        "€": ("euro", "euros", "cent", "cents"),
        "$": ("dollar", "dollars", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
    },
}
_SIGNS = {"eur": "€", "€": "€", "euros": "€", "usd": "$", "$": "$", "gbp": "£", "£": "£"}

_NUMBER = (
    r"0[.,]\d{3,6}(?!\d)|\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)"
)
_AMOUNT_AFTER = re.compile(rf"(?<![\w.,])({_NUMBER})\s?(EUR|USD|GBP|euros|€|\$|£)(?!\w)", re.I)
_AMOUNT_BEFORE = re.compile(rf"(?<!\w)(EUR|USD|GBP|€|\$|£)\s?({_NUMBER})(?!\w)", re.I)
_PERCENTAGE = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s?%")
_ISO_DATE = re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?![\w-])")
_SLASH_DATE = re.compile(r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\w/])")
_TIME = re.compile(r"(?<![\w:])([01]?\d|2[0-3]):([0-5]\d)(?:\s?(?:h|horas)\b)?(?![\w:])")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_WEB = re.compile(
    r"(?<![\w@.])(?:https?://)?(?:www\.)?([\w-]+(?:\.[\w-]+)*\.(?:com|es|org|net|info))((?:/[\w-]+)*)/?(?![\w@])"
)
_PHONE = re.compile(
    r"(?<![\w.,+-])(\+\d{1,3}[ .-]?)?(\d{2,3}(?:[ .-]\d{2,4}){2,4}|\d{9})(?![\w-]|[.,]\d)"
)
_CODE = re.compile(r"(?<![\w-])([A-Z]{1,4})-(\d{1,8})(?:-(\d{1,8}))?(?![\w-])")
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:\.\d{3})+(?![\w]|[.,]\d)")
_MARKUP = re.compile(r"[*#`]{1,3}(?=\S)|(?<=\S)[*`]{1,3}")
_UNITS = {
    "es": {
        r"(?<=\w)/kWh\b": " el kilovatio hora",
        r"(?<=\w)/m(?:³|3)(?!\w)": " el metro cúbico",
        r"(?<=\w)/mes\b": " al mes",
        r"(?<=\w)/año\b": " al año",
        r"(?<=\d)\s?kWh\b": " kilovatios hora",
        r"(?<=\d)\s?kW\b": " kilovatios",
        r"(?<=\d)\s?m(?:³|3)(?!\w)": " metros cúbicos",
    },
    "en": {
        r"(?<=\w)/kWh\b": " per kilowatt hour",
        r"(?<=\w)/m(?:³|3)(?!\w)": " per cubic metre",
        r"(?<=\w)/month\b": " a month",
        r"(?<=\w)/year\b": " a year",
        r"(?<=\d)\s?kWh\b": " kilowatt hours",
        r"(?<=\d)\s?kW\b": " kilowatts",
        r"(?<=\d)\s?m(?:³|3)(?!\w)": " cubic metres",
    },
}


def write_for_speech(text: str, language: str) -> str:
    """``text`` as it should be read aloud in ``language`` (anything but English is Spanish)."""
    speech: Speech = "en" if language.lower().startswith("en") else "es"
    rules: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Speech], str]], ...] = (
        (_EMAIL, _say_address),
        (_WEB, _say_web),
        (_AMOUNT_AFTER, lambda m, s: _say_amount(m[1], m[2], s)),
        (_AMOUNT_BEFORE, lambda m, s: _say_amount(m[2], m[1], s)),
        (_PERCENTAGE, lambda m, s: f"{_say_decimal(m[1], s)} {_PER_CENT[s]}"),
        (_ISO_DATE, lambda m, s: _say_date(m, int(m[1]), int(m[2]), int(m[3]), s)),
        (_SLASH_DATE, lambda m, s: _say_date(m, int(m[3]), int(m[2]), int(m[1]), s)),
        (_TIME, _say_time),
        (_CODE, _say_code),
        (_PHONE, _say_phone),
        (_GROUPED, lambda m, s: _words(int(m[0].replace(".", "")), s)),
    )
    text = _MARKUP.sub("", text)
    for pattern, say in rules:
        text = pattern.sub(lambda match, say=say: say(match, speech), text)  # type: ignore[misc]  # bound default
    for unit, said in _UNITS[speech].items():
        text = re.sub(unit, said, text)
    return text


def _words(number: int, speech: Speech) -> str:
    return str(num2words(number, lang=speech))


def _parse_number(written: str) -> tuple[int, str]:
    """``1.500,00`` and ``1,500.00`` alike -> (1500, "00"); the last separator before one or two
    digits is the decimal one."""
    found = re.fullmatch(r"(.*?)(?:[.,](\d{1,2}))?", written)
    assert found is not None
    return int(re.sub(r"[.,]", "", found[1])), found[2] or ""


def _say_amount(written: str, sign: str, speech: Speech) -> str:
    one, many, hundredth, hundredths = _CURRENCIES[speech][_SIGNS[sign.lower()]]
    if re.match(r"0[.,]\d{3}", written):
        return f"{_say_decimal(written, speech)} {many}"
    whole, decimals = _parse_number(written)
    cents = int(decimals.ljust(2, "0")) if decimals else 0
    said = f"{_shorten(_words(whole, speech), speech)} {one if whole == 1 else many}"
    if not cents:
        return said
    joiner = "con" if speech == "es" else "and"
    unit = hundredth if cents == 1 else hundredths
    return f"{said} {joiner} {_shorten(_words(cents, speech), speech)} {unit}"


def _shorten(number: str, speech: Speech) -> str:
    """``uno`` before a noun is ``un``; ``veintiuno`` is ``veintiún``."""
    if speech == "es":
        number = re.sub(r"veintiuno$", "veintiún", number)
        number = re.sub(r"\buno$", "un", number)
        number = re.sub(r"(millón|millones)$", r"\1 de", number)
    return number


def _say_decimal(written: str, speech: Speech) -> str:
    whole, _, decimals = written.replace(",", ".").partition(".")
    said = _words(int(whole), speech)
    if not decimals:
        return said
    comma = "coma" if speech == "es" else "point"
    if speech == "es" and not decimals.startswith("0"):
        return f"{said} {comma} {_words(int(decimals), speech)}"
    return f"{said} {comma} {_digits(decimals, speech)}"


def _say_date(match: re.Match[str], year: int, month: int, day: int, speech: Speech) -> str:
    try:
        date(year, month, day)
    except ValueError:  # not a date after all: a code of that shape
        return match[0]
    name = _MONTHS[speech].split()[month - 1]
    if speech == "es":
        return f"{'uno' if day == 1 else _words(day, speech)} de {name} de {_words(year, speech)}"
    return (
        f"{name} {num2words(day, lang='en', to='ordinal')}, {num2words(year, lang='en', to='year')}"
    )


def _say_time(match: re.Match[str], speech: Speech) -> str:
    hour, minute = int(match[1]), int(match[2])
    if speech == "es":
        said = "una" if hour == 1 else re.sub(r"uno$", "una", _words(hour, speech))
        said = said.replace("veintiúna", "veintiuna")
        return said if minute == 0 else f"{said} y {_words(minute, speech)}"
    half = "a m" if hour < 12 else "p m"
    said = _words((hour - 1) % 12 + 1, speech)
    minutes = "" if minute == 0 else f" {'oh ' if minute < 10 else ''}{_words(minute, speech)}"
    return f"{said}{minutes} {half}"


def _say_code(match: re.Match[str], speech: Speech) -> str:
    """``F-2024-1234`` -> letters apart, then each group as it is said: years whole, the rest in
    pairs, a leading zero digit by digit."""
    parts = [", ".join(match[1])]
    parts += [_say_group(group, speech) for group in (match[2], match[3]) if group]
    return ", ".join(parts)


def _say_group(digits: str, speech: Speech) -> str:
    if digits.startswith("0") or len(digits) % 2 and len(digits) > 3:
        return _digits(digits, speech)
    if len(digits) <= 3 or (len(digits) == 4 and digits.startswith(("19", "20"))):
        return _words(int(digits), speech)
    pairs = [digits[i : i + 2] for i in range(0, len(digits), 2)]
    return ", ".join(
        _digits(pair, speech) if pair.startswith("0") else _words(int(pair), speech)
        for pair in pairs
    )


def _digits(digits: str, speech: Speech) -> str:
    return " ".join(_words(int(digit), speech) for digit in digits)


def _say_phone(match: re.Match[str], speech: Speech) -> str:
    groups = re.findall(r"\d+", match[2])
    if len(groups) == 1:
        groups = [groups[0][:3], groups[0][3:5], groups[0][5:7], groups[0][7:]]
    said = [_digits(group, speech) for group in groups]
    if match[1]:
        said.insert(
            0, f"{_SYMBOLS[speech]['+']} {_words(int(re.sub(r'[^0-9]', '', match[1])), speech)}"
        )
    return ", ".join(said)


def _say_address(match: re.Match[str], speech: Speech) -> str:
    return _say_symbols(match[0], speech)


def _say_symbols(text: str, speech: Speech) -> str:
    symbols = _SYMBOLS[speech]
    spaced = "".join(f" {symbols[char]} " if char in symbols else char for char in text)
    return " ".join(spaced.split())


def _say_web(match: re.Match[str], speech: Speech) -> str:
    path = match[2].replace("/", f" {_SLASH[speech]} ")
    return " ".join(f"{_say_symbols(match[1], speech)} {path}".split())
