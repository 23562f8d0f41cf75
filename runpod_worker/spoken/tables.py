"""The words of one language that are data: ``es.yaml``, ``en.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import yaml

from runpod_worker.spoken.scanner import Kind, kind


_SENTENCE = re.compile(r"\s+[A-ZÁÉÍÓÚÑ¿¡]")
_Forms = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Tables:
    """``codes``: a pattern of what is named before any code; ``numbered``: before one of five
    digits or more. ``currencies``: (one, many, one hundredth, hundredths) by sign. ``units`` and
    ``fractions``: (one, many). ``cased``, ``titles``, ``abbreviations``, ``before_…``: written
    forms by what is said."""

    months: list[str]
    short_months: dict[str, int]
    days: dict[str, str]
    currencies: dict[str, list[str]]
    signs: dict[str, str]
    scales: dict[str, str]
    per: dict[str, str]
    units: dict[str, list[str]]
    alone: dict[str, str]
    fractions: dict[int, list[str]]
    cased: _Forms
    titles: _Forms
    abbreviations: _Forms
    before_name: _Forms
    before_number: _Forms
    before_word: _Forms
    codes: str
    numbered: str
    regnal: list[str]
    no_nouns: list[str] = field(default_factory=list)
    masculine: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """A pattern of any unit."""
        return any_of(self.units)

    @property
    def per_unit(self) -> str:
        """A pattern of what may follow a slash, as in ``12 €/mes``; one group, optional."""
        return rf"(?:\s?/\s?({any_of(self.per)})(?!\w))?"

    @property
    def month(self) -> str:
        """A pattern of a month, written out or short."""
        return f"(?:{any_of([*self.months, *self.short_months])})"

    def month_number(self, name: str) -> int:
        """1 to 12."""
        low = name.lower()
        return self.short_months.get(low) or [m.lower() for m in self.months].index(low) + 1

    def month_name(self, name: str) -> str:
        """A month written out, of one written out or short."""
        return self.months[self.month_number(name) - 1]

    def pointed(self) -> Iterator[str]:
        """Written forms that end in a point, lower case, and each word of them that does."""
        for forms in (self.cased, self.titles, self.abbreviations, self.before_name):
            for form in (each.lower() for written in forms.values() for each in written):
                yield from (word for word in [*form.split(), form.replace(" ", "")] if "." in word)
        for short in (*self.short_months, *self.days, "tsp", "tbsp"):
            if len(short) > 2:  # "m." is a measure that ends a sentence
                yield f"{short}."

    def pointed_before_number(self) -> Iterator[str]:
        """Written forms that are words, and end no sentence only before a number."""
        for forms in self.before_number.values():
            yield from (each.lower() for each in forms if each.endswith("."))


@cache
def load_tables(language: str) -> Tables:
    """The tables of ``es`` or ``en``."""
    text = (Path(__file__).parent / f"{language}.yaml").read_text(encoding="utf-8")
    return Tables(**yaml.safe_load(text))


def kinds_of(tables: Tables) -> Iterable[Kind]:
    """Abbreviations, and signs that stand alone."""
    following = {
        "cased": "",
        "titles": "",
        "abbreviations": "",
        "before_name": r"(?=\s?(?-i:[A-ZÁÉÍÓÚÑ]))",
        "before_number": r"(?=\s?\d)",
        "before_word": r"(?=\s?(?-i:[a-záéíóúñ]))",
    }
    for section, after in following.items():
        for said, forms in getattr(tables, section).items():
            say = partial(_abbreviated, said, section == "abbreviations")
            pattern = f"(?:{'|'.join(map(_form, forms))}){after}"
            yield kind(said, pattern, say, cased=section == "cased")
    short = any_of(tables.short_months)
    yield kind(
        "month", rf"({short})\.(?=\s(?:de\s)?\d{{4}}|\s?[-–,])", lambda m: tables.month_name(m[1])
    )
    yield kind("month", rf"(?<=\ben )({short})\.", lambda m: tables.month_name(m[1]))
    for sign, said in tables.alone.items():
        end = r"(?!\w)" if sign[-1].isalnum() else ""
        yield kind(sign, re.escape(sign) + end, f" {said} ", cased=True)


def any_of(written: Iterable[str]) -> str:
    """A pattern of any of these texts, the longest first."""
    return "|".join(re.escape(each) for each in sorted(written, key=len, reverse=True))


def _form(written: str) -> str:
    pattern = re.escape(written).replace(r"\ ", r"\s?")
    is_word = written[-1].isalnum() and written[-1] not in "ºª"
    return rf"{pattern}(?!\w)" if is_word else pattern


def _abbreviated(said: str, may_end: bool, match: re.Match[str]) -> str:
    """What is said, and the point that also ends a sentence."""
    ends = may_end and match[0].endswith(".") and _SENTENCE.match(match.string, match.end())
    gap = " " if match[0].endswith(("/", "#")) else ""
    return f"{said}{'.' if ends else gap}"
