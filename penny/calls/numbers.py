"""Numbers in what was said, written or spoken: where they stand, and how many digits they have.

Spanish and English: "4111", "cuatro uno uno uno", "cuarenta y uno once", "triple cero". Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass


_UNITS = (
    "cero un uno una dos tres cuatro cinco seis siete ocho nueve"
    " zero oh one two three four five six seven eight nine"
)
_TEENS = (
    "diez once doce trece catorce quince dieciseis diecisiete dieciocho diecinueve veinte veintiun"
    " veintiuno veintiuna veintidos veintitres veinticuatro veinticinco veintiseis veintisiete"
    " veintiocho veintinueve ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
    " nineteen"
)
_TENS = (
    "treinta cuarenta cincuenta sesenta setenta ochenta noventa"
    " twenty thirty forty fifty sixty seventy eighty ninety"
)
_HUNDREDS = (
    "cien ciento doscientos doscientas trescientos trescientas cuatrocientos cuatrocientas"
    " quinientos quinientas seiscientos seiscientas setecientos setecientas ochocientos ochocientas"
    " novecientos novecientas hundred"
)
_WIDTHS = {
    **dict.fromkeys(_UNITS.split(), (1, 0)),
    **dict.fromkeys(_TEENS.split(), (2, 0)),
    **dict.fromkeys(_TENS.split(), (2, 1)),
    **{f"{ten}{y}{unit}": (2, 0) for ten in _TENS.split() for y in "iy" for unit in _UNITS.split()},
    **dict.fromkeys(_HUNDREDS.split(), (3, 2)),
    "mil": (4, 3),
    "thousand": (4, 3),
}
"""Digits of a word that stands for a number, and of what may still belong to the same number."""
_TIMES = {"doble": 2, "double": 2, "triple": 3}
_OFTEN = frozenset({"veces", "times"})
_COUNTS = {word: count for count, word in enumerate(["dos", "tres", "cuatro", "cinco", "seis"], 2)}
_COUNTS |= {word: count for count, word in enumerate(["two", "three", "four", "five", "six"], 2)}
"""In "cuatro veces cero"."""
_JOINS = frozenset({"y", "and"})
_WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: where it stands, whether it belongs to a number, and the digits it adds.

    ``plain`` is in lower case and without accents. A word of a number may add no digit: "cuarenta
    y uno" has two.
    """

    start: int
    end: int
    plain: str
    is_number: bool = False
    digits: int = 0


def read_words(text: str) -> Iterator[Word]:
    """The words of a text, in order."""
    room = times = 0  # digits that a next word may add to the same number; how often it is said
    before = ""  # the number that comes right before
    for found in _WORD.finditer(text):
        word = found.group()
        plain = unicodedata.normalize("NFKD", word.lower()).encode("ascii", "ignore").decode()
        place = (*found.span(), plain)
        if plain in _JOINS and room:
            yield Word(*place, is_number=True)
            continue
        if plain in _TIMES or (plain in _OFTEN and before in _COUNTS):
            # What was counted as a digit says how often the next is said.
            digits, times = (0, _TIMES[plain]) if plain in _TIMES else (-1, _COUNTS[before])
            room, before = 0, ""
            yield Word(*place, is_number=True, digits=digits)
            continue
        width, more = (len(word), 0) if word.isdigit() else _WIDTHS.get(plain, (0, 0))
        if not width or (plain == "ciento" and text[: found.start()].lower().endswith("por ")):
            room, times, before = 0, 0, ""
            yield Word(*place)
            continue
        is_scale = plain in _SCALES and before != ""  # "dos mil", "one hundred"
        digits = width - 1 if is_scale else 0 if width <= room else width
        yield Word(*place, is_number=True, digits=digits * (times or 1))
        room, times, before = more, 0, plain


_SCALES = frozenset({"mil", "thousand", "hundred"})
