"""Numbers as words, by num2words, with what it leaves to its caller: gender, apocope, length."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

from num2words import num2words

from runpod_worker.spoken.tables import load_tables


Speech = Literal["es", "en"]

MOST_DIGITS = 15
"""Longer numbers are identifiers: they are said digit by digit. num2words overflows later."""
MOST_UNGROUPED = 4
"""Digits said in one breath."""
_POINT = {"es": "coma", "en": "point"}
_SIGNS = {
    "es": {"-": "menos ", "−": "menos ", "–": "menos ", "+": "más "},
    "en": {"-": "minus ", "−": "minus ", "–": "minus ", "+": "plus "},
}
_FEMININE = re.compile(
    r"(?:\w*(?:ción|ciones|sión|siones|dad|dades|tud|tudes)|vez|veces|noches?|leyes|llaves?|clases?|"
    r"calles?|partes?|redes?|tardes|fases?|bases?|señales|imágenes|órdenes|\w*[gnx]i(?:ón|ones)|"
    r"manos?|fotos?|motos?|suites?|flor(?:es)?|lu[zc](?:es)?|vo[zc](?:es)?|cru[zc](?:es)?|"
    r"pared(?:es)?|pieles|fuentes?|nubes?|carnes?|torres?|series?|superficies?|apps?|webs?|"
    r"tablets?|labores|mujer(?:es)?|raz(?:ón|ones)|\w+as?)\Z",
    re.IGNORECASE,
)
_GREEK = re.compile(r"\w+(?:ema|ama|oma|ista)s?\Z", re.IGNORECASE)
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\Z")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ORDINALS = {11: "undécimo", 12: "duodécimo"}


def words(number: int, speech: Speech) -> str:
    """A whole number in words; ``veintiuno`` stays as it is counted."""
    if len(str(abs(number))) > MOST_DIGITS:
        return digits(str(number), speech)
    said = str(num2words(number, lang=speech)).replace(",", "")
    return re.sub(r"uno (?=mil)", "un ", said).replace("veintiun ", "veintiún ")


def digits(text: str, speech: Speech) -> str:
    """Each digit of ``text`` by itself; with a pause between groups where there are more than four.

    Groups are of three, the last one of two to four, as people write down what they hear.
    """
    said = [words(int(digit), speech) for digit in text if digit.isdecimal()]
    ends = [*range(3, len(said) - 1, 3), len(said)] if len(said) > MOST_UNGROUPED else [len(said)]
    return ", ".join(" ".join(said[start:end]) for start, end in pairwise([0, *ends]))


def letters(text: str, speech: Speech) -> str:
    """Capitals one by one; a lone ``A`` in English and ``Y`` in Spanish are words to a voice."""
    if speech == "es":
        return " ".join("i griega" if each == "Y" else each for each in text)
    return re.sub(r"A (?=\w)", "A, ", " ".join(text))


def groups(written: list[str], speech: Speech) -> str:
    """Digits one by one, with a pause between the groups."""
    return ", ".join(digits(each, speech) for each in written)


def year(number: int, speech: Speech) -> str:
    """A year: ``nineteen ninety-eight``, ``mil novecientos noventa y ocho``."""
    if speech == "es":
        return words(number, "es")
    return str(num2words(number, lang="en", to="year")).replace("oh-", "oh ")


def ordinal(number: int, speech: Speech, ending: str = "o") -> str:
    """``primero``, or with another ``ending``: ``primera`` (a), ``primeros`` (os), ``primer``
    (er)."""
    if speech == "en":
        return str(num2words(number, lang="en", to="ordinal"))
    said = _ORDINALS.get(number) or str(num2words(number, lang="es", to="ordinal"))
    said = said.replace("quadra", "cuadra")
    if ending == "er":
        return re.sub(r"(primer|tercer)o$", r"\1", said)
    return re.sub(r"o\b", ending, said)


def roman(written: str) -> int | None:
    """The value of a Roman numeral, or None if it is none."""
    if not written or not _ROMAN.match(written):
        return None
    values = [_VALUES[letter] for letter in written]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-value if value < after else value for value, after in pairs)


def before_noun(said: str, noun: str) -> str:
    """A Spanish number as it stands before ``noun``: ``un euro``, ``veintiuna horas``."""
    if is_feminine(noun):
        said = re.sub(r"uno$", "una", said)
        return re.sub(r"cientos\b", "cientas", said).replace("quinientos", "quinientas")
    said = re.sub(r"veintiuno$", "veintiún", said)
    return re.sub(r"\buno$", "un", said)


def is_feminine(noun: str) -> bool:
    """By its ending; the common exceptions are listed in es.yaml."""
    is_listed = noun.lower() in load_tables("es").masculine
    return bool(_FEMININE.match(noun)) and not is_listed and not _GREEK.match(noun)


def is_counted(number: int, noun: str) -> bool:
    """Whether a Spanish word after ``number`` can be what it counts: by its being a plural."""
    word = noun.lower()
    is_plural = word.endswith("s") or word in ("mil", "millones", "millón")
    return word not in load_tables("es").no_nouns and (number == 1 or is_plural)


def parse(written: str, speech: Speech) -> tuple[str, str]:
    """Whole digits and decimal digits of a number: ``1.500,00``, ``1 500,00`` and ``1,500.00``.

    One separator before just three digits groups them, unless the whole part is 0 (``0,152``);
    in English a point never groups.
    """
    bare = re.sub(r"[\s\u00a0\u202f'’]", "", written)
    marks = re.findall(r"[.,]", bare)
    if not marks:
        return bare, ""
    last = marks[-1]
    whole, _, tail = bare.rpartition(last)
    alone = len(marks) == 1
    grouped = len(tail) == 3 and whole not in ("0", "") and not (speech == "en" and last == ".")
    if (alone and grouped) or (not alone and len(set(marks)) == 1):
        return re.sub(r"[.,]", "", bare), ""
    return re.sub(r"[.,]", "", whole) or "0", tail


def decimal(written: str, speech: Speech) -> str:
    """A number with or without decimals in words: ``tres coma cinco``, ``cero coma cero cinco``."""
    whole, tail = parse(written, speech)
    said = words(int(whole), speech) if len(whole) <= MOST_DIGITS else digits(whole, speech)
    if not tail:
        return said
    is_short = len(tail) <= 2 and not tail.startswith("0") and speech == "es"
    fraction = words(int(tail), speech) if is_short else digits(tail, speech)
    return f"{said} {_POINT[speech]} {fraction}"


def signed(sign: str | None, said: str, speech: Speech) -> str:
    """``said`` with its sign in words, if there is one."""
    return f"{_SIGNS[speech].get(sign or '', '')}{said}"
