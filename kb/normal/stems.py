"""Word keys: stem first, then fold accents, then the sound. Pure, and cached by word."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import snowballstemmer

from kb.normal.sounds import sound_of
from kb.normal.words import fold_accents


Language = Literal["es", "en"]

_SPANISH = snowballstemmer.stemmer("spanish")
_ENGLISH = snowballstemmer.stemmer("english")
# Transcripts lose accents; the Spanish stemmer knows these endings only with theirs.
_LOST_ACCENTS = (("cion", "ción"), ("sion", "sión"), ("xion", "xión"))


@lru_cache(maxsize=131_072)
def key_of(word: str, language: Language) -> str:
    """Return the index key of one lower-case word: ``vence``, ``venze`` and ``vencer`` are one."""
    if language == "en":
        return fold_accents(str(_ENGLISH.stemWord(word)))
    for bare, accented in _LOST_ACCENTS:
        if word.endswith(bare):
            word = word[: -len(bare)] + accented
    stem = fold_accents(str(_SPANISH.stemWord(word)))
    key = sound_of(stem, fold_accents(word)[len(stem) :])
    # averia/avería: a lost accent leaves an i that the accented form does not have.
    return key[:-1] if len(key) > 3 and key[-1] == "i" else key
