"""Whether a caller is in the middle of dictating: a number, an address, a code letter by letter.

Dictation pauses between groups, and nothing in a group tells that it is not the last.
"""

from __future__ import annotations

import re
from typing import Final

from penny.turns.wordlist import words_of


_DIGIT_WORDS: Final = words_of(
    "cero uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince",
    "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien ciento doscientos",
    "trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos",
    "zero oh one two three four five six seven eight nine ten eleven twelve twenty thirty forty",
    "fifty sixty seventy eighty ninety hundred double doble triple",
)
_LETTER_NAMES: Final = words_of(
    "be ce efe ge hache jota ka ele eme ene eñe pe cu erre ese uve equis zeta",
    "bee cee dee ef gee aitch jay kay el em en pee cue ar ess tee vee ex zee zed",
)
_LENGTHS: Final = (
    (re.compile(r"\b(?:iban)\b"), 22),
    (re.compile(r"\b(?:tarjeta|card)\b"), 16),
    (re.compile(r"\b(?:postal|zip|postcode)\b"), 5),
    (re.compile(r"\b(?:dni|nif|nie|documento)\b"), 8),
    (re.compile(r"\b(?:pin)\b"), 4),
    (
        re.compile(r"\b(?:contrato|pedido|referencia|expediente|póliza|factura|order|reference)\b"),
        6,
    ),
    (re.compile(r"\b(?:tel[eé]fono|m[oó]vil|celular|n[uú]mero|phone|mobile|number)\b"), 9),
    (re.compile(r"\b(?:cuenta|c[oó]digo|matr[ií]cula|account|code)\b"), 6),
)
"""What is dictated, and how many digits it has at least."""
_MIN_DICTATED: Final = 9
"""Digits of a telephone number, where only digits were said."""
_ADDRESS: Final = re.compile(r"\b(?:correo|e-?mail|email)\b[^@]*?\b(?:es|is)\b\s+\S")
_ADDRESS_ENDS: Final = re.compile(r"(?:\.|\bpunto\s+|\bdot\s+)[a-z]{2,}$")
_TOKEN: Final = re.compile(r"[^\W_]+")


def is_dictating(text: str) -> bool:
    """Whether more of what is dictated is to come; ``text`` is the transcript so far."""
    said = text.lower().rstrip(" .,;:-!…")
    tokens = _TOKEN.findall(said)
    if not tokens:
        return False
    if "@" in said or "arroba" in tokens or _ADDRESS.search(said):
        return _ADDRESS_ENDS.search(said) is None or not ("@" in said or "arroba" in tokens)
    if _letters_at_end(tokens) >= 2:
        return True
    digits = sum(len(token) if token.isdigit() else 1 for token in tokens if _is_number(token))
    if not digits or not _is_number(tokens[-1]):
        return False
    for kind, length in _LENGTHS:
        if kind.search(said):
            return digits < length
    return len(tokens) > 1 and all(map(_is_number, tokens)) and digits < _MIN_DICTATED


def _is_number(token: str) -> bool:
    return token.isdigit() or token in _DIGIT_WORDS


def _letters_at_end(tokens: list[str]) -> int:
    count = 0
    for token in reversed(tokens):
        if not (len(token) == 1 and token.isalpha()) and token not in _LETTER_NAMES:
            break
        count += 1
    return count
