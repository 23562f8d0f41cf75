"""Index words near a word that the collection does not have, found inside the engine's own terms.

One wrong letter leaves the beginning or the end of a word as it was, so candidates are the terms
with the same first letters and, from the reversed field, those with the same last ones. The
engine keeps its terms sorted, so both are ranges of it and nothing is held in memory.
"""

from __future__ import annotations

import tantivy
from rapidfuzz.distance import OSA


_CANDIDATES = 300
# Two words of one family: the shared beginning, and the most that each may have after it.
_FAMILY_CHARS = 5
_FAMILY_ENDING = 3
_FAMILY_QUALITY = 0.7


class SpellingIndex:
    """Reads one commit of one collection; safe for many threads."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher

    def near(self, key: str, limit: int = 3) -> list[tuple[str, float]]:
        """Return up to ``limit`` (term, quality 0..1), the nearest first; nothing far."""
        size = len(key)
        if size < 3 or not key.isalpha():
            return []
        allowed = 1 if size < 8 else 2
        half = 2 if size < 6 else 3
        found: dict[str, float] = {}
        for term in self._candidates(key, half):
            if term in found or not term.isalpha():
                continue
            quality = _quality(key, term, allowed)
            if quality > 0:
                found[term] = quality
        ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
        best = ranked[0][1] if ranked else 0.0
        return [each for each in ranked[:limit] if each[1] >= best - 0.1]

    def _candidates(self, key: str, half: int) -> list[str]:
        terms = self._searcher.terms_with_prefix("keys", key[:half], limit=_CANDIDATES)
        ends = self._searcher.terms_with_prefix("ends", key[::-1][:half], limit=_CANDIDATES)
        return [term for term, _ in terms] + [term[::-1] for term, _ in ends]


def _quality(key: str, term: str, allowed: int) -> float:
    """How well a term stands for a word: 1 minus the share of wrong letters; 0 for no likeness."""
    longer = max(len(key), len(term))
    if abs(len(key) - len(term)) <= allowed and min(len(key), len(term)) >= 3:
        distance = OSA.distance(key, term, score_cutoff=allowed)
        shorter = min(len(key), len(term))
        if distance <= allowed and (shorter > 4 or len(key) == len(term) == 4):
            return 1.0 - distance / longer - (0.1 if key[0] != term[0] else 0.0)
    shared = 0
    for one, other in zip(key, term, strict=False):
        if one != other:
            break
        shared += 1
    if shared >= _FAMILY_CHARS and longer - shared <= _FAMILY_ENDING:
        return _FAMILY_QUALITY
    return 0.0
