"""How well one passage answers the concepts, and how sure that is. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kb.index import StoredPassage
from kb.query import Concept


@dataclass(frozen=True, slots=True)
class Evidence:
    """Each 0..1. ``coverage``: the weight of what the caller named that the passage has.
    ``asked``: likeness to the nearest question the passage lists. ``headed``: likeness to its
    heading. ``lexical``: BM25 over the best candidate's. ``missing_code``: a code not in it.
    """

    coverage: float
    asked: float
    headed: float
    lexical: float
    missing_code: float


def weigh(stored: StoredPassage, concepts: list[Concept], lexical: float) -> Evidence:
    heading = frozenset(stored.heading)
    named = [frozenset(each) for each in stored.questions]
    total = found = missing = 0.0
    for concept in concepts:
        best = 0.0
        for key, quality in concept.keys.items():
            if quality > best and (
                key in stored.body or key in heading or any(key in each for each in named)
            ):
                best = quality
        total += concept.weight
        found += concept.weight * best
        if concept.kind == "code" and not best:
            missing = 1.0
    asked = max((_likeness(each, concepts, total) for each in named), default=0.0)
    headed = _likeness(heading, concepts, total)
    return Evidence(found / total if total else 0.0, asked, headed, lexical, missing)


def _likeness(keys: frozenset[str], concepts: list[Concept], total: float) -> float:
    """Weight shared over the weight of both: 1 when each side says what the other says."""
    if not keys or not total:
        return 0.0
    shared = 0.0
    matched: set[str] = set()
    for concept in concepts:
        hits = [(quality, key) for key, quality in concept.keys.items() if key in keys]
        if hits:
            shared += concept.weight * max(hits)[0]
            matched.update(key for _, key in hits)
    rest = len(keys) - len(matched)
    return shared / (total + 0.5 * max(0, rest))


def judge(evidence: Evidence) -> float:
    """Return 0..1, 0.5 being as likely right as wrong."""
    sum_ = (
        -4.5
        + 5.0 * evidence.coverage
        + 4.0 * evidence.asked
        + 1.5 * evidence.headed
        + 0.5 * evidence.lexical
        - 6.0 * evidence.missing_code
    )
    return 1.0 / (1.0 + math.exp(-sum_))
