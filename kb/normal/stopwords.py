"""Words that carry no subject, or little. Pure but for reading its own lists once.

``stop``: articles, pronouns, auxiliaries, courtesy, what callers say to begin; never searched.
``weak``: everyday words that any sentence may hold; searched, but their absence tells little.
Stop words are known by their sound as well, because recognisers write ``ase`` for ``hace``.
``sin`` and ``no`` are neither: "sin luz" is another question than "luz".
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from kb.normal.numbers import Language
from kb.normal.sounds import sound_of
from kb.normal.stems import key_of
from kb.normal.words import fold_accents


_INFINITIVES = frozenset(["ar", "er", "ir"])
_FOLDER = Path(__file__).parent / "lists"


@lru_cache(maxsize=4)
def _read_list(name: str) -> tuple[str, ...]:
    return tuple((_FOLDER / f"{name}.txt").read_text(encoding="utf-8").split())


@lru_cache(maxsize=2)
def stop_words(language: Language) -> frozenset[str]:
    """Return the stop words, folded; in Spanish also their sounds."""
    words = frozenset(fold_accents(word) for word in _read_list(f"{language}_stop"))
    return words | {sound_of(word) for word in words} if language == "es" else words


@lru_cache(maxsize=131_072)
def is_stop(folded: str, language: Language) -> bool:
    words = stop_words(language)
    return folded in words or (language == "es" and sound_of(folded) in words)


@lru_cache(maxsize=131_072)
def is_weak(folded: str, language: Language) -> bool:
    """Whether a folded word is an everyday one, as written, as it sounds, or as a verb's form.

    Not by its stem alone: ``ratas`` is not ``rato``.
    """
    words, verbs = _weak_words(language)
    if folded in words or sound_of(folded) in words:
        return True
    singular = folded[:-1] if folded.endswith("s") else folded
    return singular in words or key_of(folded, language) in verbs


@lru_cache(maxsize=2)
def _weak_words(language: Language) -> tuple[frozenset[str], frozenset[str]]:
    """Return (everyday words folded, with their sounds in Spanish; the keys of the verbs)."""
    words = frozenset(fold_accents(word) for word in _read_list(f"{language}_weak"))
    if language == "en":
        return words, frozenset(key_of(word, language) for word in words)
    verbs = frozenset(
        key_of(word, language) for word in words if len(word) > 4 and word[-2:] in _INFINITIVES
    )
    return words | {sound_of(word) for word in words}, verbs


@lru_cache(maxsize=2)
def language_signs(language: Language) -> frozenset[str]:
    """Return the words that tell the language of a short question by themselves."""
    other: Language = "en" if language == "es" else "es"
    own = frozenset(_read_list(f"{language}_stop")) - frozenset(_read_list(f"{other}_stop"))
    return own | ({"sin", "luz", "agua", "factura"} if language == "es" else {"bill", "water"})
