"""Amounts of money, measures and percentages, in Spanish and in English."""

from __future__ import annotations

import re
from functools import partial

from runpod_worker.spoken.counting import Speech, before_noun, decimal, parse, signed, words
from runpod_worker.spoken.scanner import Kind, kind
from runpod_worker.spoken.shared import NUMBER
from runpod_worker.spoken.tables import Tables, any_of, load_tables


_MINUS = r"(?:(?<![\w)\]%€$£])([-−–+]))?"
_TO = {"es": r"\s?(?:-|–|—|\ba\b)\s?", "en": r"\s?(?:-|–|—|\bto\b)\s?"}
_LINK = {"es": "a", "en": "to"}
_AND = {"es": "con", "en": "and"}
_TIMES = {"es": ("hora", "minuto", "segundo"), "en": ("hour", "minute", "second")}
_OF = {"es": r"(?:de\s)?", "en": ""}
_POINT = r"(?:\.(?=\s(?-i:[a-záéíóúñ])))?"
"""The point of an abbreviated unit, where it ends no sentence."""
_ALONE = ("kWh", "MWh", "kW", "m²", "m³", "m2", "m3", "km/h", "mph", "°C", "ºC", "°F", "GB", "MB")
"""Units that are read as such without a number before them."""
_CASED = {"m": "m", "g": "g", "l": "lL", "v": "V", "a": "A", "w": "W", "s": "s", "h": "h"}
_NO_UNIT_BEFORE = re.compile(r"\s(?:\w+(?:[aií]do|to|cho)|the|an?|this|my|your|[A-Z]\w+|\d+)\b")
_SINGULAR_BEFORE = re.compile(r"\b(?:el|del|al|un|cada|por|de|per|the|a|each)\s$", re.IGNORECASE)


def quantities(speech: Speech) -> tuple[Kind, ...]:
    """The kinds of this module, the surest first."""
    tables = load_tables(speech)
    scale, to, per = any_of(tables.scales), _TO[speech], tables.per_unit
    letters = [sign for sign in [*tables.signs, "mxn"] if sign.isalpha()]
    symbols = "|".join(map(re.escape, ("US$", "MX$", "€", "$", "£", "¥", "M.N.")))
    after = rf"({symbols}|(?:{any_of(letters)})\b)"
    before = rf"({symbols}|(?:EUR|USD|GBP|MXN)\s)"
    of = _OF[speech]
    span = rf"(?P<low>{NUMBER})(?:\s?%?{to}(?P<high>{NUMBER}))?"
    alone = [unit for unit in _ALONE if unit.lower() in tables.units]
    return (
        kind("per unit", rf"(?<=[^\W\d_])/({any_of(set(tables.per) & set(tables.units))})(?!\w)",
             lambda m: f" {tables.per[m[1].lower()]}"),
        kind("per unit", rf"(?<=s)/({any_of(tables.per)})(?![\w/])",
             lambda m: f" {tables.per[m[1].lower()]}"),
        kind("amount range", rf"({NUMBER})\s?(?:{after})?{to}({NUMBER})\s?{after}{per}",
             lambda m: _range(m[1], m[3], m[4], m[5], speech)),
        kind("amount range", rf"{before}\s?({NUMBER}){to}(?:{before})?\s?({NUMBER}){per}",
             lambda m: _range(m[2], m[4], m[1], m[5], speech)),
        kind("amount", rf"{_MINUS}({NUMBER})\s?(?:({scale})\s?{of})?{after}{per}",
             lambda m: _amount(m[1], m[2], m[4], m[3], m[5], speech)),
        kind("amount", rf"{_MINUS}{before}\s?([-−–])?({NUMBER})(?:\s?({scale}))?(?!\w|\.\w)"
             rf"(?:\s{of}{after})?{per}",
             lambda m: _amount(m[1] or m[3], m[4], m[6] or m[2], m[5], m[7], speech)),
        kind("measure", rf"{_MINUS}{span}[\s-]?(?P<unit>{tables.unit})(?!\w){_POINT}"
             rf"{per}", partial(_measure, tables, speech)),
        kind("duration", r"(?=\d+\s?h|\d+\s?m\s?\d+\s?s)"
             r"(?:(\d{1,3})\s?h(?:rs?)?\.?\s?(y\s|and\s)?)?"
             rf"([0-5]?\d)\s?m(?:in)?(?:\s?([0-5]?\d)\s?s(?:eg)?)?(?!\w){_POINT}",
             partial(_duration, speech)),
        kind("size", rf"(?P<sides>{NUMBER}(?:\s?[x×]\s?{NUMBER})+)(?:\s?(?P<unit>{tables.unit}))?"
             r"(?!\w)(?:(?=(?P<sum>\s?[€$£]?\s?=)))?", partial(_size, tables, speech)),
        kind("inches", rf"({NUMBER})\s?[\"″”](?!\w)", partial(_inches, speech)),
        kind("less", r"<\s?(?=\d)", {"es": "menos de ", "en": "less than "}[speech]),
        kind("more", r">\s?(?=\d)", {"es": "más de ", "en": "more than "}[speech]),
        kind("unit", rf"(?:{any_of(alone)})(?!\w)", partial(_unit_alone, tables), cased=True),
    )  # fmt: skip


def link(m: re.Match[str], speech: Speech) -> str:
    """What is said between the ends of a range: ``tres a cinco``, ``del tres al cinco``."""
    if speech == "es" and m.string[: m.start()].lower().endswith("del "):
        return " al "
    return f" {_LINK[speech]} "


def _amount(
    sign: str | None, written: str, mark: str, big: str | None, per: str | None, speech: Speech
) -> str:
    tables = load_tables(speech)
    mark = mark.strip().lower()
    one, many, hundredth, hundredths = tables.currencies[tables.signs.get(mark, mark)]
    tail = f" {tables.per[per.lower()]}" if per else ""
    whole, cents = parse(written, speech)
    if big or len(cents) > 2 or len(whole) > 15:
        said = f"{_scaled(written, big, speech)} {many}"
        return signed(sign, said, speech) + tail
    said = f"{_counted(int(whole), many, speech)} {one if int(whole) == 1 else many}"
    if speech == "es":
        said = re.sub(r"(mill(?:ón|ones)) (?=\w+$)", r"\1 de ", said)
    if cents and (number := int(cents.ljust(2, "0"))):
        unit = hundredth if number == 1 else hundredths
        part = f"{_counted(number, unit, speech)} {unit}"
        said = f"{said} {_AND[speech]} {part}" if int(whole) else part
    return signed(sign, said, speech) + tail


def _scaled(written: str, big: str | None, speech: Speech) -> str:
    """``uno coma cinco millones de``, ``three point two billion``."""
    said = decimal(written, speech)
    if not big:
        return said
    scale = load_tables(speech).scales[big.lower()]
    if speech == "en":
        return f"{said} {scale}"
    if scale.startswith("millon") and said == "uno":
        return "un millón de"
    said = "" if (said, scale) == ("uno", "mil") else before_noun(said, scale)
    return f"{said} {scale}{' de' if scale.rpartition(' ')[2].startswith('mill') else ''}".strip()


def _counted(number: int, noun: str, speech: Speech) -> str:
    said = words(number, speech)
    return before_noun(said, noun) if speech == "es" else said


def _range(low: str, high: str, mark: str, per: str | None, speech: Speech) -> str:
    first = decimal(low, speech)
    if parse(low, speech)[1]:
        first = _amount(None, low, mark, None, None, speech)
    return f"{first} {_LINK[speech]} {_amount(None, high, mark, None, per, speech)}"


def _measure(tables: Tables, speech: Speech, m: re.Match[str]) -> str | None:
    written, low, high = m["unit"], m["low"], m["high"]
    unit = written.lower()
    if written not in _CASED.get(unit, written):
        return None
    if unit == "a" and " " in m[0] and not re.search(r"\d\s?k?[VW]\b|voltios", m.string):
        return None  # "3 A" may be a floor
    if unit in ("in", "ha") and _NO_UNIT_BEFORE.match(m.string, m.end()):
        return None  # "1204 ha salido", "5 in the morning"
    one, many = tables.units[unit]
    name = one if low == "1" and not high else many
    per = m.group(m.re.groups)
    numbers = [decimal(each, speech) for each in (low, high) if each]
    if speech == "es" and unit not in "%‰":
        numbers = [before_noun(each, name.split()[0]) for each in numbers]
    tail = f" {tables.per[per.lower()]}" if per else ""
    return signed(m[1], link(m, speech).join(numbers), speech) + f" {name}{tail}"


def _duration(speech: Speech, m: re.Match[str]) -> str:
    """``1h 20m``: after hours, and before seconds, ``m`` are minutes."""
    named = zip(m.group(1, 3, 4), _TIMES[speech], strict=True)
    said = [
        f"{_counted(int(each), f'{noun}s', speech)} {noun}{'' if int(each) == 1 else 's'}"
        for each, noun in named
        if each
    ]
    if m[2]:
        said.insert(1, m[2].strip())
    return " ".join(said)


def _size(tables: Tables, speech: Speech, m: re.Match[str]) -> str:
    by = "por" if speech == "es" else "times" if m["sum"] else "by"
    unit = f" {tables.units[m['unit'].lower()][1]}" if m["unit"] else ""
    sides = re.split(r"\s?[x×]\s?", m["sides"])
    return f" {by} ".join(decimal(side, speech) for side in sides) + unit


def _inches(speech: Speech, m: re.Match[str]) -> str | None:
    """``6.1"``, unless that closes what was quoted."""
    if len(re.findall('["“”]', m.string[: m.start()])) % 2:
        return None
    one, many = ("pulgada", "pulgadas") if speech == "es" else ("inch", "inches")
    said = decimal(m[1], speech)
    said = before_noun(said, many) if speech == "es" and m[1].isdecimal() else said
    is_beside_noun = speech == "en" and re.match(r"\s(?:[a-z]|[A-Z]{2})", m.string[m.end() :])
    return f"{said} {one if m[1] == '1' or is_beside_noun else many}"


def _unit_alone(tables: Tables, m: re.Match[str]) -> str:
    one, many = tables.units[m[0].lower()]
    return one if _SINGULAR_BEFORE.search(m.string[: m.start()]) else many
