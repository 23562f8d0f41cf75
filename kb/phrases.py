"""How alike a question is to what a passage lists of callers' own words. Pure.

A passage may list a dozen: words are looked up in one map of all of them, sounds are compared in
the library's own loop.
"""

from __future__ import annotations

from rapidfuzz import fuzz
from rapidfuzz.process import extractOne

from kb.index import StoredPassage
from kb.query import Concept


_ECHO_LEAST, _WITHIN_LEAST = 40.0, 60.0
_SHORTEST_ECHO = 6


def compare_phrases(
    stored: StoredPassage, concepts: list[Concept], total: float
) -> tuple[float, float]:
    """Return (likeness of the likest listed question or phrase, how much of one was said), 0..1.

    ``total``: the weight of all concepts.
    """
    where = stored.said
    count = len(stored.sizes)
    shared, named, matched = [0.0] * count, [0.0] * count, [0] * count
    for concept in concepts:
        weight = concept.weight
        best: dict[int, float] = {}
        for key, quality in concept.keys.items():
            for at in where.get(key, ()):
                named[at] += quality
                matched[at] += 1
                if quality > best.get(at, 0.0):
                    best[at] = quality
        for at, quality in best.items():
            shared[at] += weight * quality
    asked = said = 0.0
    for each, told, size, found in zip(shared, named, stored.sizes, matched, strict=True):
        if found:
            asked = max(asked, each / (total + 0.5 * max(0, size - found)))
            said = max(said, min(1.0, told / size) * min(1.0, each))
    return asked, said


def listen(phrases: list[str], sounds: str) -> tuple[float, float]:
    """Return how alike the likest phrase sounds, 0..1: (to the whole question, to a part of it)."""
    whole = extractOne(sounds, phrases, scorer=fuzz.ratio, score_cutoff=_ECHO_LEAST)
    inside = [each for each in phrases if _SHORTEST_ECHO <= len(each) <= len(sounds)]
    part = extractOne(sounds, inside, scorer=fuzz.partial_ratio, score_cutoff=_WITHIN_LEAST)
    return (whole[1] / 100.0 if whole else 0.0, part[1] / 100.0 if part else 0.0)
