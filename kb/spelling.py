"""Index words near a word that the collection does not have, found inside the engine's own terms.

One wrong letter leaves the beginning or the end of a word as it was, so candidates are the terms
with the same first letters and, from the reversed field, those with the same last ones.
"""

from __future__ import annotations

import tantivy
from rapidfuzz.distance import OSA


_CANDIDATES = 400


class SpellingIndex:
    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher

    def near(self, key: str, limit: int = 3) -> list[tuple[str, float]]:
        """Return up to ``limit`` (term, quality 0..1), the nearest first; nothing far."""
        size = len(key)
        if size < 4 or not key.isalpha():
            return []
        allowed = 1 if size < 7 else 2
        half = 2 if size < 6 else 3
        found: dict[str, float] = {}
        for term in self._candidates(key, half):
            if abs(len(term) - size) > allowed or term in found:
                continue
            distance = OSA.distance(key, term, score_cutoff=allowed)
            if distance <= allowed:
                found[term] = 1.0 - distance / max(size, len(term)) - 0.05
        ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
        best = ranked[0][1] if ranked else 0.0
        return [each for each in ranked[:limit] if each[1] >= best - 0.1]

    def _candidates(self, key: str, half: int) -> list[str]:
        terms = self._searcher.terms_with_prefix("keys", key[:half], limit=_CANDIDATES)
        ends = self._searcher.terms_with_prefix("ends", key[::-1][:half], limit=_CANDIDATES)
        return [term for term, _ in terms] + [term[::-1] for term, _ in ends]
