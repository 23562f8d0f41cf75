"""Text or speech to tokens, the same on both sides of the index. Pure.

``efe dos mil veinticuatro guion mil doscientos treinta y cuatro`` and ``F-2024-1234`` give the
same code; ``quince de enero`` and ``2025-01-15`` share their day and month; ``un euro con diez``
and ``1,10 €`` share their amount.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kb.normal.months import MONTHS
from kb.normal.numbers import (
    ENGLISH_NUMBERS,
    SPANISH_NUMBERS,
    Language,
    canonical_number,
    mend_numbers,
)
from kb.normal.spelled import Code, read_code, read_email
from kb.normal.stems import key_of
from kb.normal.stopwords import is_stop, language_signs
from kb.normal.words import cut_words, fold_accents


Kind = Literal["word", "number", "code", "date", "email"]

_MONTHS = {language: [name.lower() for name in names] for language, names in MONTHS.items()}
_CODE = re.compile(r"([a-zñ]*)((?:[-/]?\d+)+)([a-z]?)$")
_DIGITS = re.compile(r"\d+")
_BIGGER = (["hundred"], ["thousand"], ["million"])
_UNITS = frozenset(["euro", "euros"])


@dataclass(frozen=True, slots=True)
class Token:
    """One unit of meaning.

    ``keys``: index keys, the most telling first (a code also has its digits and its parts).
    ``surface``: the words as given, folded. ``stop``: carries no subject.
    """

    keys: tuple[str, ...]
    kind: Kind
    surface: str
    stop: bool = False


_PERCENT = Token(("porsient",), "word", "por ciento")


def guess_language(text: str, default: Language = "es") -> Language:
    """Return the language that the small words of the text belong to."""
    spanish = english = 0
    spanish_signs, english_signs = language_signs("es"), language_signs("en")
    for _, word in cut_words(text):
        folded = fold_accents(word)
        spanish += folded in spanish_signs or folded != word
        english += folded in english_signs
    if english == spanish:
        return default
    return "en" if english > spanish else "es"


def analyse(text: str, language: Language) -> list[Token]:
    """Return the tokens of a text, in order, stop words marked."""
    cut: Sequence[tuple[str, str]] = cut_words(text)
    if language == "es":
        cut = mend_numbers(cut)
    words = [fold_accents(word) for _, word in cut]
    tokens: list[Token] = []
    at = 0
    while at < len(words):
        kind = cut[at][0]
        used = 1
        if kind in ("word", "number"):
            used = _read_spoken(words, at, language, tokens)
        if used == 0:
            tokens.append(_word_token(cut[at][1], words[at], language))
            used = 1
        elif kind in ("email", "date", "code"):
            tokens.append(_written_token(kind, words[at], language))
        elif kind == "sign":
            _read_sign(words, at, tokens)
        at += used
    return tokens


def keys_of(text: str, language: Language) -> list[str]:
    """Return the index keys of a text, stop words left out."""
    return [key for token in analyse(text, language) if not token.stop for key in token.keys]


def code_token(code: Code, surface: str) -> Token:
    whole = "".join(code.parts)
    keys = dict.fromkeys((code.key, whole, *reversed([part.lstrip("0") for part in code.parts])))
    return Token(tuple(key for key in keys if key), "code", surface)


def _word_token(word: str, folded: str, language: Language) -> Token:
    return Token((key_of(word, language),), "word", folded, is_stop(folded, language))


def _written_token(kind: str, word: str, language: Language) -> Token:
    if kind == "email":
        return _email_token(word)
    if kind == "date":
        numbers = _DIGITS.findall(word)
        year, month, day = numbers if len(numbers[0]) == 4 else reversed(numbers)
        return _date_token(int(day), int(month), int(year), word, language)
    found = _CODE.match(word)
    if not found:
        return Token((word,), "code", word)
    return code_token(Code(found[1], tuple(_DIGITS.findall(found[2]))), word)


def _email_token(address: str) -> Token:
    local, _, domain = address.partition("@")
    return Token((address, local, domain.split(".")[0]), "email", address)


def _date_token(day: int, month: int, year: int, surface: str, language: Language) -> Token:
    if not 1 <= month <= 12:
        return Token((surface,), "date", surface)
    name = key_of(_MONTHS[language][month - 1], language)
    keys = (f"{day}{name}", str(day), name) + ((str(year),) if year else ())
    return Token(keys, "date", surface)


def _read_spoken(words: list[str], at: int, language: Language, tokens: list[Token]) -> int:
    """Append what begins at ``at`` if it is more than a plain word; return the words used."""
    if at + 1 < len(words):
        code = read_code(words, at, language)
        if code:
            tokens.append(code_token(code[0], " ".join(words[at : at + code[1]])))
            return code[1]
    if words[at] in ("arroba",):
        email = read_email(words, at)
        if email:
            address, first, end = email
            del tokens[len(tokens) - min(len(tokens), at - first) :]
            tokens.append(_email_token(address))
            return end - at
    return _read_number(words, at, language, tokens)


def _read_number(words: list[str], at: int, language: Language, tokens: list[Token]) -> int:
    word = words[at]
    if word == "por" and words[at + 1 : at + 2] == ["ciento"]:
        tokens.append(_PERCENT)
        return 2
    if word[0].isdecimal() and not word.isdecimal():
        tokens.append(Token((canonical_number(word),), "number", word))
        return 1
    numbers = SPANISH_NUMBERS if language == "es" else ENGLISH_NUMBERS
    digits, used = numbers.read_digits(words, at)
    if used:
        tokens.append(Token((digits.lstrip("0") or "0",), "number", digits))
        return used
    if word in ("un", "one") and at + 1 < len(words) and words[at + 1] in _UNITS:
        value, used = 1, 1
    elif word in ("uno", "one") and words[at + 1 : at + 2] not in _BIGGER:
        return 0
    else:
        value, used = numbers.read(words, at) if numbers.starts(word) else (0, 0)
    if not used:
        if word.isdecimal():
            tokens.append(Token((canonical_number(word),), "number", word))
            return 1
        return 0
    written, used = _read_fraction(words, at, str(value), used, language)
    rest = words[at + used : at + used + 4]
    date = _read_date(value, rest, language)
    if date:
        token, extra = date
        tokens.append(token)
        return used + extra
    tokens.append(Token((written,), "number", " ".join(words[at : at + used])))
    return used


def _read_fraction(
    words: list[str], at: int, whole: str, used: int, language: Language
) -> tuple[str, int]:
    """``quince coma cinco`` -> 15.5; ``un euro con diez`` -> 1.1 (the unit is kept apart)."""
    numbers = SPANISH_NUMBERS if language == "es" else ENGLISH_NUMBERS
    index = at + used
    point = words[index : index + 1] in (["coma"], ["point"])
    cents = words[index : index + 1] != [] and words[index] in _UNITS
    cents = cents and words[index + 1 : index + 2] in (["con"], ["and"])
    if not point and not cents:
        return whole, used
    start = index + (1 if point else 2)
    if start >= len(words):
        return whole, used
    value, more = numbers.read(words, start)
    if not more or (cents and value > 99):
        return whole, used
    digits = f"{value:02d}" if cents else str(value)
    return canonical_number(f"{whole}.{digits}"), start + more - at


def _read_date(day: int, rest: list[str], language: Language) -> tuple[Token, int] | None:
    """``quince | de enero de dos mil veinticinco`` -> a date token and the words it takes."""
    used = 1 if rest[:1] in (["de"], ["of"]) else 0
    if not 1 <= day <= 31 or used >= len(rest) or rest[used] not in _MONTHS[language]:
        return None
    month = _MONTHS[language].index(rest[used]) + 1
    return _date_token(day, month, 0, f"{day} {rest[used]}", language), used + 1


def _read_sign(words: list[str], at: int, tokens: list[Token]) -> None:
    if words[at] == "€":
        tokens.append(Token(("eur",), "word", "euros"))
    elif words[at] == "%":
        tokens.append(_PERCENT)
