"""How alike a question is to what a passage lists of callers' own words. Pure.

A passage may list a dozen: words are looked up in one map of all of them, sounds are compared in
the library's own loop.
"""

from __future__ import annotations

from rapidfuzz import fuzz
from rapidfuzz.process import extractOne

from kb.index import StoredPassage


_ECHO_LEAST, _WITHIN_LEAST = 40.0, 60.0
_SHORTEST_ECHO = 6


def compare_phrases(
    stored: StoredPassage, here: list[tuple[int, str, float]], weights: list[float], total: float
) -> tuple[float, float]:
    """Return (likeness of the likest listed question or phrase, how much of one was said), 0..1.

    Args:
        stored: has at least one.
        here: what the passage has of the question: (concept, key, how well it stands for it).
        weights: of each concept.
        total: of all of them.
    """
    where = stored.said
    shared: dict[int, float] = {}
    named: dict[int, float] = {}
    matched: dict[int, int] = {}
    counted: dict[tuple[int, int], float] = {}
    for concept, key, quality in here:
        for at in where.get(key, ()):
            named[at] = named.get(at, 0.0) + quality
            matched[at] = matched.get(at, 0) + 1
            before = counted.get((concept, at), 0.0)
            if quality > before:
                counted[concept, at] = quality
                shared[at] = shared.get(at, 0.0) + weights[concept] * (quality - before)
    asked = said = 0.0
    for at, each in shared.items():
        size = stored.sizes[at]
        asked = max(asked, each / (total + 0.5 * max(0, size - matched[at])))
        said = max(said, min(1.0, named[at] / size) * min(1.0, each))
    return asked, said


def listen(phrases: list[str], sounds: str) -> tuple[float, float]:
    """Return how alike the likest phrase sounds, 0..1: (to the whole question, to a part of it)."""
    whole = extractOne(sounds, phrases, scorer=fuzz.ratio, score_cutoff=_ECHO_LEAST)
    inside = [each for each in phrases if _SHORTEST_ECHO <= len(each) <= len(sounds)]
    part = extractOne(sounds, inside, scorer=fuzz.partial_ratio, score_cutoff=_WITHIN_LEAST)
    return (whole[1] / 100.0 if whole else 0.0, part[1] / 100.0 if part else 0.0)
