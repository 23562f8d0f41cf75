"""Index words near a word that the collection does not have, found inside the engine's own terms.

One wrong letter leaves the beginning or the end of a word as it was, so candidates are the terms
with the same first letters and, from the reversed field, those with the same last ones. The
engine keeps its terms sorted, so both are ranges of it and nothing is held in memory.
"""

from __future__ import annotations

from functools import lru_cache

import tantivy
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract


_CANDIDATES = 400
# Two words of one family: the shared beginning, and the most that each may have after it.
_FAMILY_CHARS = 5
_FAMILY_ENDING = 3
_FAMILY_QUALITY = 0.7
_FIRST_LETTER_COST = 0.1
_MEMORY = 4096


class SpellingIndex:
    """Reads one commit of one collection; safe for many threads."""

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
