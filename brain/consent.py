"""Whether what a caller said is a yes to what was asked. Pure, Spanish and English.

Strict on purpose: money may hang on it. A yes is words that agree and nothing else, except words
of the action itself ("sí, programa el pago"); anything that is neither yes nor no is asked again.
"""

from __future__ import annotations

from typing import Literal

from brain.texts import read_words
from kb.normal.stems import key_of
from kb.normal.words import cut_words, fold_accents


Consent = Literal["yes", "no", "unclear"]

_YES = read_words("yes")
_NO = read_words("no")
_BESIDE = read_words("beside_yes")
_ENCLITICS = ("", "lo", "la", "los", "las", "le", "me", "melo", "mela", "selo", "sela")
"""Pronouns at the end of an imperative: ``prográmemelo``."""


def read_consent(words: str, about: str) -> Consent:
    """Read an answer to "may I?".

    Args:
        words: the caller's, as transcribed.
        about: name and description of what is asked, whose words may stand in a yes.
    """
    if "?" in words or "¿" in words:
        return "unclear"
    words = words.lower().replace("'", "").replace("’", "").replace("desde luego", "sí")
    said = [fold_accents(word) for _, word in cut_words(words)]
    about = about.lower().replace("_", " ")
    own = {key_of(fold_accents(word), "es") for _, word in cut_words(about)}
    plain = [word for word in said if word in _YES or not _is_of(word, own)]
    if any(word in _NO for word in plain) or "no" in said or "not" in said:
        return "no"
    if any(word in _YES for word in said) and all(w in _YES or w in _BESIDE for w in plain):
        return "yes"
    return "unclear"


def _is_of(word: str, own: set[str]) -> bool:
    return any(key_of(word.removesuffix(each), "es") in own for each in _ENCLITICS)
