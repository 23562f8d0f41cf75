"""Spoken numbers in Spanish and English to digits. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from kb.normal.sounds import sound_of
from kb.normal.words import fold_accents


Language = Literal["es", "en"]

_ES_SMALL = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
    "dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres "
    "veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve"
)
_ES_TENS = "treinta cuarenta cincuenta sesenta setenta ochenta noventa"
_ES_HUNDREDS = "doscient trescient cuatrocient quinient seiscient setecient ochocient novecient"
_EN_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_EN_TENS = "thirty forty fifty sixty seventy eighty ninety"


def _spanish_values() -> dict[str, int]:
    values = {word: value for value, word in enumerate(_ES_SMALL.split())}
    values |= {word: 30 + 10 * step for step, word in enumerate(_ES_TENS.split())}
    for step, stem in enumerate(_ES_HUNDREDS.split()):
        values |= {f"{stem}{ending}": 200 + 100 * step for ending in ("os", "as")}
    values |= {"cien": 100, "ciento": 100, "veintiun": 21, "veintiuna": 21}
    return values


def _english_values() -> dict[str, int]:
    values = {word: value for value, word in enumerate(_EN_SMALL.split())}
    return values | {word: 30 + 10 * step for step, word in enumerate(_EN_TENS.split())}


_VALUES: dict[str, dict[str, int]] = {"es": _spanish_values(), "en": _english_values()}
_THOUSANDS = {"es": {"mil"}, "en": {"thousand"}}
_MILLIONS = {"es": {"millon", "millones"}, "en": {"million", "millions"}}
_AND = {"es": "y", "en": "and"}


class NumberReader:
    """Reads one spoken number from folded words, greedily, by the grammar of the language."""

    def __init__(self, language: Language) -> None:
        self._values = _VALUES[language]
        self._thousands = _THOUSANDS[language]
        self._millions = _MILLIONS[language]
        self._and = _AND[language]
        self._english = language == "en"
        self._names = frozenset(self._values) | self._thousands | self._millions

    def read_digits(self, words: list[str], at: int) -> tuple[str, int]:
        """Return (digits, words used) of at least three digits said one by one."""
        digits = ""
        while at + len(digits) < len(words):
            value = self._values.get(words[at + len(digits)], 10)
            if value > 9:
                break
            digits += str(value)
        return (digits, len(digits)) if len(digits) > 2 else ("", 0)

    @property
    def names(self) -> frozenset[str]:
        return self._names

    def starts(self, word: str) -> bool:
        """Whether a number may begin with this folded word."""
        return word in self._values or word in self._thousands or word.isdecimal()

    def read(self, words: list[str], at: int) -> tuple[int, int]:
        """Return (value, words used) of the number that begins at ``at``; used is 0 for none.

        ``uno``, ``una`` and ``un`` begin a number only before a bigger unit (``un millón``):
        elsewhere they are articles, and the caller decides.
        """
        total, below, ceiling = 0, 0, 10**9
        group_open = True  # whether `below` may still grow
        limit = 1000  # the next part must be smaller than this
        index = at
        used = 0
        while index < len(words):
            word = words[index]
            if word == self._and and used and index + 1 < len(words):
                step = self._after_and(words[index + 1], below)
                if not step:
                    break
                index += 1
                if self._english:
                    limit = 100
                    continue
                below, limit, index = below + step, 1, index + 1
                used = index - at
                continue
            if word in self._millions and (below or total) and ceiling > 10**6:
                total, below, ceiling = (total + (below or 1)) * 10**6, 0, 10**6
                limit = 1000
            elif word in self._thousands and ceiling > 1000 and (used == 0 or below or total):
                total, below, ceiling = total + (below or 1) * 1000, 0, 1000
                limit = 1000
            elif self._english and word == "hundred" and 0 < below < 10:
                below *= 100
                limit = 100
            else:
                value = self._part(word, used, ceiling)
                if value is None or value >= limit or not group_open or (value == 0 and used):
                    break
                below += value
                limit = _limit_after(value, self._english)
                group_open = limit > 1 or value > 0
            index += 1
            used = index - at
        return total + below, used

    def _part(self, word: str, used: int, ceiling: int) -> int | None:
        value = self._values.get(word)
        if value is None and word.isdecimal() and len(word) <= 3 and (not used or ceiling <= 1000):
            return int(word)
        return value

    def _after_and(self, word: str, below: int) -> int:
        """The unit after ``y``: only a unit after a ten (treinta y cuatro)."""
        value = 1 if word in ("un", "una") else self._values.get(word, 0)
        if self._english:
            return value if below % 100 == 0 and 0 < value < 100 else 0
        return value if 0 < value < 10 and 30 <= below % 100 <= 90 and below % 10 == 0 else 0


def _limit_after(value: int, english: bool) -> int:
    if value >= 100:
        return 100 if value % 100 == 0 else 1
    if english and value >= 20 and value % 10 == 0:
        return 10
    return 1


_BY_SOUND = {sound_of(word): word for word in [*_spanish_values(), "mil", "millon", "millones"]}
_GLUED = re.compile(r"(\w+?)(mil)$|(\w+ta)[yi](\w+)$")


def mend_numbers(cut: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return Spanish (kind, word) pairs with misheard number words put right.

    Glued words are cut (``dosmil``, ``treintaycuatro``). A word that only sounds like a number
    (``siento``) becomes one beside another number, since alone it is its own word.
    """
    names = SPANISH_NUMBERS.names
    mended: list[tuple[str, str]] = []
    for kind, word in cut:
        glued = _GLUED.match(word) if kind == "word" and word not in names else None
        parts = [part for part in glued.groups() if part] if glued else []
        if parts and all(_number_word(part) for part in parts):
            joint = [("word", "y")] if parts[0].endswith("ta") else []
            mended += [("word", parts[0]), *joint, ("word", parts[1])]
        else:
            mended.append((kind, word))
    for at, (kind, word) in enumerate(mended):
        named = _number_word(word) if kind == "word" and word not in names else None
        beside = mended[max(0, at - 1) : at] + mended[at + 1 : at + 2]
        if named and any(kin == "number" or _number_word(other) for kin, other in beside):
            mended[at] = ("word", named)
    return mended


def _number_word(word: str) -> str | None:
    return _BY_SOUND.get(sound_of(fold_accents(word)))


SPANISH_NUMBERS = NumberReader("es")
ENGLISH_NUMBERS = NumberReader("en")


def canonical_number(written: str) -> str:
    """Return a written number in one form: ``1.500,00`` and ``1,500.00`` and ``1500`` are 1500."""
    digits = written
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0:
        decimals = digits[last + 1 :]
        whole = digits[:last].replace(".", "").replace(",", "")
        separators = digits.count(".") + digits.count(",")
        mixed = "." in digits and "," in digits
        if len(decimals) == 3 and not mixed and whole not in ("", "0"):
            digits = whole + decimals  # a thousands separator
        elif separators > 1 and not mixed:
            digits = whole + decimals
        else:
            fraction = decimals.rstrip("0")
            digits = f"{whole}.{fraction}" if fraction else whole
    stripped = digits.lstrip("0")
    if not stripped or stripped[0] == ".":
        return "0" + stripped
    return stripped
