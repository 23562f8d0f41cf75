"""Cutting text into words, and folding accents. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from kb.normal.sounds import sound_of


# Tried in this order: an e-mail address, an ISO or slashed date, a code with a hyphen or with
# letters and digits together, a number with separators, a word, a sign that carries meaning.
_WORD = re.compile(
    r"""
    (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
  | (?P<date>\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{4}\b)
  | (?P<code>\b[a-zñ]{1,5}(?:[-/]\d+[a-z]?)+\b|\b[a-z]{1,4}\d+(?:[-/]\d+)*\b|\b\d+(?:-\d+)+\b)
  | (?P<number>\d+(?:[.,]\d+)*)
  | (?P<word>[^\W\d_]+)
  | (?P<sign>[%€@])
    """,
    re.VERBOSE,
)
_FOLDS = str.maketrans("áàâäãéèêëíìîïóòôöõúùûüç", "aaaaaeeeeiiiiooooouuuuc")


@lru_cache(maxsize=16)  # one question is cut by several readers, one after another
def cut_words(text: str) -> tuple[tuple[str, str], ...]:
    """Return (kind, word) in order; kind is email, date, code, number, word or sign."""
    lowered = text.lower()
    if not lowered.isascii():
        lowered = unicodedata.normalize("NFKC", lowered)
    return tuple((match.lastgroup or "word", match.group()) for match in _WORD.finditer(lowered))


def fold_accents(word: str) -> str:
    """Return the word without accents; ``ñ`` is a letter of its own and stays."""
    return word if word.isascii() else word.translate(_FOLDS)


def sounds_of(text: str) -> str:
    """Return how the text sounds, as one word: cut in other places, it is the same."""
    return "".join(sound_of(fold_accents(word)) for _, word in cut_words(text))


def plain_words(text: str) -> str:
    """Return the words folded, in order, without punctuation: two equal ones are one question."""
    return " ".join(fold_accents(word) for _, word in cut_words(text))
