"""Numbers in what was said, written or spoken: where they stand, their digits and their value.

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
    **dict.fromkeys(("millon", "millones", "million"), (7, 6)),
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
    is_wide = False  # it has millions: what follows fills their places
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
            room, times, before, is_wide = 0, 0, "", False
            yield Word(*place)
            continue
        is_scale = plain in _SCALES and before != ""  # "dos mil", "one hundred"
        goes_on = 0 < width <= room and plain not in _ZEROS  # "cuarenta cero" are two
        is_wide = is_wide and (goes_on or is_scale)
        digits = 0 if goes_on or (is_scale and is_wide) else width - 1 if is_scale else width
        is_wide = is_wide or width == MILLIONS
        yield Word(*place, is_number=True, digits=digits * (times or 1))
        room, times, before = more, 0, plain


MILLIONS = 7
"""Digits of a million."""
_SCALES = frozenset({"mil", "thousand", "hundred", "millon", "millones", "million"})
_ZEROS = frozenset({"cero", "zero", "oh"})


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was said: its place in the text and its digits ("045", "triple cero" is 000).

    ``is_spelled``: it is one of the digits that a longer number may be spelled by.
    """

    start: int
    end: int
    digits: str

    @property
    def value(self) -> int:
        return int(self.digits)

    @property
    def is_spelled(self) -> bool:
        return len(self.digits) == 1


def read_numbers(text: str) -> Iterator[Number]:
    """The numbers of a text, in order: "mil doscientos" is one, "cuarenta y cinco doce" two."""
    start = end = 0
    total = part = 0
    plain_digits = ""
    times = 1
    is_open = False
    for word in read_words(text):
        if is_open and not word.is_number:
            yield Number(start, end, plain_digits or str(total + part))
            is_open, times = False, 1
        if not word.is_number or (word.plain in _JOINS and not is_open):
            continue
        if word.plain in _JOINS:
            continue
        if word.plain in _TIMES or word.plain in _OFTEN:
            if word.plain in _OFTEN and is_open:  # "cuatro veces cero": the number said how often
                times, is_open = total + part, False
            else:
                if is_open:
                    yield Number(start, end, plain_digits or str(total + part))
                times, is_open = _TIMES.get(word.plain, 1), False
            start = word.start
            continue
        is_scale = is_open and not plain_digits and word.plain in _SCALES
        goes_on = is_open and not plain_digits and (is_scale or word.digits == 0)
        if is_open and not goes_on:
            yield Number(start, end, plain_digits or str(total + part))
            times = 1
        if not goes_on:
            start = word.start if times == 1 else start
            total, part, is_open = 0, 0, True
            plain_digits = word.plain * times if word.plain.isdigit() else ""
        end = word.end
        if not plain_digits:
            value = value_of(word.plain)
            if is_scale:
                part *= value if value < MILLION else 1
                total, part = (total + part, 0) if value >= 1000 else (total, part)
                total *= value if value == MILLION else 1
            elif times > 1:
                plain_digits = str(value) * times
            elif value >= 1000:
                total += value
            else:
                part += value
    if is_open:
        yield Number(start, end, plain_digits or str(total + part))


def value_of(plain: str) -> int:
    """What a word for a number stands for, in lower case without accents. Raises KeyError."""
    return _VALUES[plain]


MILLION = 1_000_000


def _values() -> dict[str, int]:
    first = ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"]
    values: dict[str, int] = {"un": 1, "una": 1, "zero": 0, "mil": 1000, "thousand": 1000}
    values |= dict.fromkeys(("millon", "millones", "million"), MILLION)
    values |= {word: at for at, word in enumerate(first)}
    values |= {word: at for at, word in enumerate(_UNITS.split()[-10:])}
    spanish, english = _TEENS.split(" nineteen")[0], "ten eleven twelve thirteen fourteen fifteen"
    values |= {w: 10 + at for at, w in enumerate(spanish.split()[:11])}
    values |= {"veintiun": 21, "veintiuna": 21}
    values |= {f"veinti{word}": 20 + at for at, word in enumerate(first) if at}
    values |= {w: 10 + at for at, w in enumerate(english.split())}
    teens = "sixteen seventeen eighteen nineteen"
    values |= {w: 16 + at for at, w in enumerate(teens.split())}
    tens = _TENS.split()
    values |= {w: 30 + 10 * at for at, w in enumerate(tens[:7])}
    values |= {w: 20 + 10 * at for at, w in enumerate(tens[7:])}
    units = {w: values[w] for w in _UNITS.split()}
    values |= {
        f"{ten}{y}{unit}": values[ten] + units[unit] for ten in tens for y in "iy" for unit in units
    }
    hundreds = dict.fromkeys(("cien", "ciento", "hundred"), 100)
    for at, stem in enumerate(
        ["dosc", "tresc", "cuatroc", "quin", "seisc", "setec", "ochoc", "novec"], 2
    ):
        hundreds |= {f"{stem}ient{end}": at * 100 for end in ("os", "as")}
    return values | hundreds


_VALUES = _values()
