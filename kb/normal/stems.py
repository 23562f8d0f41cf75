"""Word keys: stem first, then fold accents, then the sound. Pure, and cached by word."""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from pathlib import Path

import snowballstemmer

from kb.normal.numbers import Language
from kb.normal.sounds import sound_of
from kb.normal.words import fold_accents


_IRREGULAR = Path(__file__).parent / "lists" / "es_irregular.txt"


class _Stemmers(threading.local):
    """A pair for each thread: a stemmer keeps the word it works on in itself."""

    def __init__(self) -> None:
        self.spanish = snowballstemmer.stemmer("spanish")
        self.english = snowballstemmer.stemmer("english")


_STEMMERS = _Stemmers()
# What the stemmer knows in the right spelling only, and how transcripts write it.
_SPELLINGS = (
    (re.compile(r"(?:cc|cs|ct|c|s|x)i[oó]n$"), "ción"),
    (re.compile(r"(?:cc|cs|ct|c|s|x)iones$"), "ciones"),
    (re.compile(r"nsia(s?)$"), r"ncia\1"),
    (re.compile(r"([ai])vle(s?)$"), r"\1ble\2"),
    (re.compile(r"tib([oa]s?)$"), r"tiv\1"),
    (re.compile(r"k(?=[eiéí])"), "qu"),
    (re.compile(r"k"), "c"),
)


# The stemmer leaves short words whole (abre, abren, abrir); their endings go by this.
_SHORT_ENDINGS = re.compile(r"^(.{3,}?)(?:ad[oa]s?|id[oa]s?|[aei][rn]|[aeo]s|is|[aeo])$")


@lru_cache(maxsize=1)
def irregular_forms() -> dict[str, str]:
    """Return folded forms of irregular Spanish verbs with their infinitive (``cayó``: caer).

    A form that is also another word (``para``, ``como``) is not in the list.
    """
    forms: dict[str, str] = {}
    for line in _IRREGULAR.read_text(encoding="utf-8").splitlines():
        infinitive, *others = line.split()
        for form in others:
            forms.setdefault(fold_accents(form), infinitive)
    return forms


@lru_cache(maxsize=131_072)
def key_of(word: str, language: Language) -> str:
    """Return the index key of one lower-case word: ``vence``, ``venze`` and ``vencer`` are one."""
    if language == "en":
        return fold_accents(str(_STEMMERS.english.stemWord(word)))
    word = irregular_forms().get(fold_accents(word), word)
    for wrong, right in _SPELLINGS:
        word = wrong.sub(right, word)
    stem = fold_accents(str(_STEMMERS.spanish.stemWord(word)))
    if stem == fold_accents(word):
        stem = _SHORT_ENDINGS.sub(r"\1", stem)
    key = sound_of(stem, fold_accents(word)[len(stem) :])
    # averia/avería: a lost accent leaves an i that the accented form does not have.
    # A word that itself ends in i (taxi) keeps it.
    return key[:-1] if len(key) > 3 and key[-1] == "i" and word[-1] not in "ií" else key
