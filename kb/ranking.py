"""How well one passage answers the concepts, and how sure that is. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from operator import attrgetter, mul

from kb.index import StoredPassage
from kb.query import Concept


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a passage, each 0..1 and more being better but for the last two.

    ``coverage``: the weight of what the caller named that the passage has. ``strong``: the same
    without everyday words. ``asked``: likeness to the nearest question the passage lists.
    ``headed``: likeness to its heading. ``titled``: the share of the heading that the caller
    named. ``lexical``: BM25 over the best candidate's. ``mass``: how much was found in all.
    ``unknown``: the weight of what the whole collection has no word for. ``missing_code``: 1 when
    the caller named a code that is not in the passage.
    """

    coverage: float
    strong: float
    asked: float
    headed: float
    titled: float
    lexical: float
    mass: float
    together: float
    intent: float
    unknown: float
    missing_code: float


NOTHING = Evidence(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

# Fitted on kb/eval/dev.jsonl by tests/bench/kb_calibrate.py: in the order of ``features``.
BIAS = -10.40
WEIGHTS = (
    2.62,
    0.39,
    0.59,
    0.14,
    1.09,
    2.91,
    2.17,
    0.67,
    0.90,
    -0.35,
    -6.0,
    1.08,
    2.52,
    0.88,
    0.69,
)
# This much matched weight counts as full: about three rare words.
_FULL_MASS = 3.0
_FEATURES = attrgetter(*(field.name for field in fields(Evidence)))


def weigh(
    stored: StoredPassage, concepts: list[Concept], lexical: float, wanted: str | None = None
) -> Evidence:
    """Compare one candidate with the question; ``lexical`` is its share of the best BM25."""
    present = stored.keys
    total = found = strong_total = strong = unknown = missing = 0.0
    for concept in concepts:
        best = 0.0
        for key, quality in concept.keys.items():
            if quality > best and key in present:
                best = quality
        weight = concept.weight
        total += weight
        found += weight * best
        if not concept.weak:
            strong_total += weight
            strong += weight * best
        if not concept.known:
            unknown += weight
        if concept.kind == "code" and not best:
            missing = 1.0
    if not found:
        return replace(NOTHING, lexical=lexical, missing_code=missing)
    asked = 0.0
    for each in stored.questions:
        asked = max(asked, _likeness(each, concepts, total)[0])
    headed, titled = _likeness(stored.heading, concepts, total)
    return Evidence(
        found / total,
        strong / strong_total if strong_total else 0.0,
        asked,
        headed,
        titled,
        lexical,
        min(1.0, found / _FULL_MASS),
        _together(stored, concepts),
        1.0 if wanted is None or wanted in stored.holds else 0.0,
        unknown / total,
        missing,
    )


def _together(stored: StoredPassage, concepts: list[Concept]) -> float:
    here = [[key for key in concept.keys if key in stored.keys] for concept in concepts]
    found = 0
    for at in range(len(here) - 1):
        if here[at] and here[at + 1]:
            found += _neighbours(stored.sequence, here[at], here[at + 1])
    return found / (len(here) - 1) if len(here) > 1 else 0.0


def _neighbours(sequence: str, left: list[str], right: list[str]) -> bool:
    for first in left:
        for second in right:
            if f" {first} {second} " in sequence:
                return True
    return False


def _likeness(keys: frozenset[str], concepts: list[Concept], total: float) -> tuple[float, float]:
    """Return (weight shared over the weight of both, share of the keys that were named)."""
    shared = named = 0.0
    matched: set[str] = set()
    for concept in concepts:
        best = 0.0
        for key, quality in concept.keys.items():
            if key in keys:
                if quality > best:
                    best = quality
                if key not in matched:
                    matched.add(key)
                    named += quality
        shared += concept.weight * best
    if not matched:
        return 0.0, 0.0
    return shared / (total + 0.5 * (len(keys) - len(matched))), named / len(keys)


def features(evidence: Evidence) -> tuple[float, ...]:
    """Return the evidence in its own order, then four that hold only together."""
    values: tuple[float, ...] = _FEATURES(evidence)
    return (
        *values,
        evidence.strong * evidence.titled,
        evidence.lexical * evidence.strong,
        evidence.strong * evidence.strong,
        max(evidence.asked, evidence.headed),
    )


def judge(evidence: Evidence) -> float:
    """Return 0..1, 0.5 being as likely right as wrong."""
    odds = BIAS + sum(map(mul, WEIGHTS, features(evidence)))
    return 1.0 / (1.0 + math.exp(-odds))
