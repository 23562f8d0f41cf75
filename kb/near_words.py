"""Words near a word, for query expansion: near in meaning, synonyms of the trade, misspellings.

``Relations`` is general Spanish, made once by ``python -m tests.bench.kb_relations`` (which asks a
multilingual sentence encoder about single words; searching needs no model) and kept as data: the
index keys of the commonest words, each with its nearest others and how near they are.

The synonyms of a language are a list beside it, those of a collection one in its folder. A line
``recibo factura`` makes its words stand for each other; ``>`` makes it one-way
(``moroso > deuda``): the left words also look for the right ones. A number at the end is the
weight, 0.8 when absent.

``SpellingIndex`` searches the engine's own terms. One wrong letter leaves the beginning or the end
of a word as it was, so candidates are the terms with the same first letters and, from the reversed
field, those with the same last ones: both are ranges of the sorted terms, nothing is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import structlog
import tantivy
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from kb.normal.analysis import keys_of
from kb.passage import Language
from kb.sources.loader import SYNONYMS


log = structlog.get_logger()

_FOLDER = Path(__file__).parent / "thesaurus"
_FULL = 255.0
_WEIGHT = 0.8
_CANDIDATES = 400
# Two words of one family: the shared beginning, and the most that each may have after it.
_FAMILY_CHARS = 5
_FAMILY_ENDING = 3
_FAMILY_QUALITY = 0.7
_FIRST_LETTER_COST = 0.1
_MEMORY = 4096


class Relations:
    """Table of words near in meaning, looked up by index key."""

    def __init__(
        self,
        keys: list[str],
        near: NDArray[np.uint16],
        likeness: NDArray[np.uint8],
    ) -> None:
        self._keys = keys
        self._place = {key: at for at, key in enumerate(keys)}
        self._near = near
        self._likeness = likeness

    def knows(self, key: str) -> bool:
        """Whether the key is one of the language's common words; without a table, all are."""
        return not self._place or key in self._place

    def near(self, key: str) -> list[tuple[str, float]]:
        """Return the nearest keys with their likeness 0..1, the nearest first."""
        at = self._place.get(key)
        if at is None:
            return []
        pairs = zip(self._near[at].tolist(), self._likeness[at].tolist(), strict=True)
        return [(self._keys[other], like / _FULL) for other, like in pairs]


@lru_cache(maxsize=2)
def load_relations(language: Language) -> Relations:
    """Return the language's table, an empty one when it has none."""
    path = _FOLDER / f"{language}_near.npz"
    if not path.is_file():
        nothing = np.zeros((0, 0), np.uint8)
        return Relations([], nothing.astype(np.uint16), nothing)
    with np.load(path) as stored:
        keys = bytes(stored["keys"]).decode("utf-8").split("\n")
        return Relations(keys, stored["near"], stored["likeness"])


@lru_cache(maxsize=2)
def load_synonyms(language: Language) -> dict[str, dict[str, float]]:
    """Return key -> the keys it also stands for, with their weight."""
    path = _FOLDER / f"{language}.txt"
    return parse_synonyms(path.read_text(encoding="utf-8").splitlines(), language)


def read_synonyms(folder: Path, language: Language) -> dict[str, dict[str, float]]:
    """Return the general synonyms with those of the collection in ``folder``, which go before."""
    general, path = load_synonyms(language), folder / SYNONYMS[language]
    try:
        own = parse_synonyms(path.read_text(encoding="utf-8").splitlines(), language)
    except FileNotFoundError:
        return general
    except (OSError, ValueError) as error:
        log.warning("kb_synonyms_unreadable", file=path.name, reason=type(error).__name__)
        return general
    return general | {key: general.get(key, {}) | others for key, others in own.items()}


def parse_synonyms(lines: Iterable[str], language: Language) -> dict[str, dict[str, float]]:
    """Return key -> the keys it also stands for, with their weight, of a list's lines."""
    related: dict[str, dict[str, float]] = {}
    for line in lines:
        bare = line.split("#", 1)[0].split()
        if not bare:
            continue
        weight = float(bare.pop()) if bare[-1].replace(".", "", 1).isdecimal() else _WEIGHT
        one_way = ">" in bare
        middle = bare.index(">") if one_way else len(bare)
        left = _keys(bare[:middle], language)
        right = _keys(bare[middle + 1 :], language) if one_way else left
        for key in left:
            into = related.setdefault(key, {})
            for other in right:
                if other != key:
                    into[other] = max(weight, into.get(other, 0.0))
    return related


def _keys(words: list[str], language: Language) -> list[str]:
    return [key for word in words for key in keys_of(word, language)[:1]]


class SpellingIndex:
    """Finds the terms of one commit of one collection that are near a word. Thread-safe."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher
        self.near = lru_cache(maxsize=_MEMORY)(self._near)

    def _near(self, key: str) -> tuple[tuple[str, float], ...]:
        """Return up to three (term, quality 0..1), the nearest first; nothing far."""
        size = len(key)
        if size < 4 or not key.isalpha():
            return ()
        allowed = 1 if size < 8 else 2
        found: dict[str, float] = {}
        for term, distance in self._nearest(key, allowed):
            shorter, longer = sorted((size, len(term)))
            if term.isalpha() and (shorter > 4 or size == longer == shorter):
                cost = _FIRST_LETTER_COST if key[0] != term[0] else 0.0
                found[term] = 1.0 - distance / longer - cost
        if not found and size >= _FAMILY_CHARS:
            for term, _ in self._searcher.terms_with_prefix("keys", key[: max(5, size - 3)]):
                if len(term) <= size + _FAMILY_ENDING and _shared(key, term) >= _FAMILY_CHARS:
                    found.setdefault(term, _FAMILY_QUALITY)
        ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
        return tuple(each for each in ranked[:3] if each[1] >= ranked[0][1] - 0.1)

    def _nearest(self, key: str, allowed: int) -> list[tuple[str, int]]:
        """Terms within ``allowed`` wrong letters, by their beginnings, failing that their ends."""
        half = min(4, len(key) // 2)
        for field, wanted in (("keys", key), ("ends", key[::-1])):
            pairs = self._searcher.terms_with_prefix(field, wanted[:half], limit=_CANDIDATES)
            terms = [term for term, _ in pairs]
            near = extract(wanted, terms, scorer=OSA.distance, score_cutoff=allowed, limit=8)
            if near:
                straight = field == "keys"
                return [(t if straight else t[::-1], int(distance)) for t, distance, _ in near]
        return []


def _shared(one: str, other: str) -> int:
    """How many letters the two have in common at their beginning, ends within reach."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    return shared if max(len(one), len(other)) - shared <= _FAMILY_ENDING else 0
