"""What one passage has of what the caller named: the evidence for it. Pure.

What is the same for every candidate of a question is reckoned once, in ``Inquiry``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import mul

from kb.index import StoredPassage
from kb.intent import Wanted
from kb.phrases import compare_phrases, listen
from kb.query import Concept


@dataclass(slots=True)
class Evidence:
    """What speaks for a passage, each 0..1 unless said.

    ``coverage``: the weight of what the caller named that the passage has. ``strong``: the same
    without everyday words. ``asked``: likeness to the nearest question the passage lists.
    ``headed``: likeness to its heading. ``titled``: the share of the heading that the caller
    named. ``lexical``: BM25 over the best candidate's. ``mass``: how much was found in all.
    ``together``: the share of neighbouring things that are neighbours there too. ``intent``: 1
    when it holds the kind of answer wanted. ``unknown``: the weight of what the whole collection
    has no word for. ``missing_code``: 1 when the caller named a code that is not in it.
    ``lost``: the weight of strong words not found, from 0 up. ``lost_most``: that of the most
    telling one. ``lost_share``: ``lost`` over all strong weight. ``named``: strong things found,
    1 for three. ``exact``: the share of strong weight found word for word. ``complete``: all
    strong words found, times the most telling one. ``said``: how much of a listed question or
    phrase the caller said. ``rich``: how many of them there are, 1 for eight. ``echo``,
    ``within``: how alike a listed phrase sounds, to the whole question and to its nearest part.
    ``things``: 1 over one more than the strong words.
    ``unheard``: the weight of strong words that the collection has nothing for. ``guessed``: the
    share of strong weight found by another word only.
    """

    coverage: float = 0.0
    strong: float = 0.0
    asked: float = 0.0
    headed: float = 0.0
    titled: float = 0.0
    lexical: float = 0.0
    mass: float = 0.0
    together: float = 0.0
    intent: float = 0.0
    unknown: float = 0.0
    missing_code: float = 0.0
    lost: float = 0.0
    lost_most: float = 0.0
    named: float = 0.0
    exact: float = 0.0
    complete: float = 0.0
    said: float = 0.0
    rich: float = 0.0
    echo: float = 0.0
    within: float = 0.0
    things: float = 0.0
    unheard: float = 0.0
    lost_share: float = 0.0
    guessed: float = 0.0


NOTHING = Evidence()


# This much matched weight counts as full: about three rare words.
_FULL_MASS = 3.0
_FULL_NAMED = 3
_PAIR = 2
_FULL_PHRASES = 8
_FOUND = 0.7
_FOUND_ITSELF = 0.9
_NOTHING_LOST = 0.05
_WORD_FOR_WORD = 0.95

# The place of a concept in the question, one of its keys, and how well that stands for it.
Meaning = tuple[int, str, float]


class Inquiry:
    """A question's concepts, laid out for comparing with many passages.

    ``meanings``: every key of every concept, in order. ``strong``: (place, weight) of what is no
    everyday word. ``codes``: the places of the codes.

    Args:
        concepts: in the order of the question.
        wanted: the kind of answer asked for.
        sounds: the whole question as heard.
    """

    def __init__(
        self, concepts: list[Concept], wanted: Wanted | None = None, sounds: str = ""
    ) -> None:
        self.wanted = wanted
        self.sounds = sounds
        self.weights = [each.weight for each in concepts]
        self.total = sum(self.weights)
        self.meanings: list[Meaning] = [
            (at, key, quality)
            for at, each in enumerate(concepts)
            for key, quality in each.keys.items()
        ]
        self.codes = [at for at, each in enumerate(concepts) if each.kind == "code"]
        self.strong = [(at, each.weight) for at, each in enumerate(concepts) if not each.weak]
        self.strong_total = sum(weight for _, weight in self.strong)
        self.unknown = sum(each.weight for each in concepts if not each.known)
        self.unheard = sum(each.weight for each in concepts if not (each.known or each.weak))


@dataclass(slots=True)
class _Strong:
    """What was found of the strong words of a question."""

    found: float = 0.0
    exact: float = 0.0
    guessed: float = 0.0
    found_most: float = 0.0
    lost_most: float = 0.0
    named: int = 0

    def add(self, weight: float, best: float) -> None:
        got = weight * best
        self.found += got
        if best >= _FOUND:
            self.named += 1
            if best >= _WORD_FOR_WORD:
                self.exact += weight
        if 0.0 < best < _FOUND_ITSELF:
            self.guessed += weight
        if got > self.found_most:
            self.found_most = got
        if weight - got > self.lost_most:
            self.lost_most = weight - got


def weigh(stored: StoredPassage, inquiry: Inquiry, lexical: float) -> Evidence:
    """Compare one candidate with the question; ``lexical`` is its share of the best BM25."""
    present, total, weights = stored.keys, inquiry.total, inquiry.weights
    here = [each for each in inquiry.meanings if each[1] in present]
    best = [0.0] * len(weights)
    for at, _, quality in here:
        if quality > best[at]:
            best[at] = quality
    missing_code = 0.0 if all(best[at] for at in inquiry.codes) else 1.0
    if not here:
        return Evidence(lexical=lexical, missing_code=missing_code, lost=inquiry.strong_total)
    found = sum(map(mul, weights, best))
    strong = _Strong()
    for at, weight in inquiry.strong:
        strong.add(weight, best[at])
    strong_total = inquiry.strong_total or 1.0
    asked = said = echo = within = 0.0
    if stored.sizes:
        asked, said = compare_phrases(stored, here, weights, total)
        echo, within = listen(stored.sounds, inquiry.sounds)
    headed, titled = _compare_heading(stored.heading, here, weights, total)
    return Evidence(
        coverage=found / total,
        strong=strong.found / strong_total,
        asked=asked,
        headed=headed,
        titled=titled,
        lexical=lexical,
        mass=min(1.0, found / _FULL_MASS),
        together=_together(stored.sequence, here, len(weights)),
        intent=1.0 if inquiry.wanted is None or inquiry.wanted in stored.holds else 0.0,
        unknown=inquiry.unknown / total,
        missing_code=missing_code,
        lost=inquiry.strong_total - strong.found,
        lost_most=strong.lost_most,
        named=min(1.0, strong.named / _FULL_NAMED),
        exact=strong.exact / strong_total,
        complete=strong.found_most if strong.lost_most < _NOTHING_LOST else 0.0,
        said=said,
        rich=min(1.0, len(stored.sizes) / _FULL_PHRASES),
        echo=echo,
        within=within,
        things=1.0 / (1 + len(inquiry.strong)),
        unheard=inquiry.unheard,
        lost_share=1.0 - strong.found / strong_total if inquiry.strong else 0.0,
        guessed=strong.guessed / strong_total,
    )


def _together(sequence: str, here: list[Meaning], concepts: int) -> float:
    """The share of neighbours in the question that are neighbours in the passage."""
    if concepts < _PAIR:
        return 0.0
    keys: list[list[str]] = [[] for _ in range(concepts)]
    for at, key, _ in here:
        keys[at].append(key)
    found = 0
    for left, right in pairwise(keys):
        if left and right:
            found += any(f" {first} {second} " in sequence for first in left for second in right)
    return found / (concepts - 1)


def _compare_heading(
    keys: frozenset[str], here: list[Meaning], weights: list[float], total: float
) -> tuple[float, float]:
    """Return (weight shared over the weight of both, share of the heading that was named)."""
    named: dict[str, float] = {}
    best: dict[int, float] = {}
    for at, key, quality in here:
        if key in keys:
            named.setdefault(key, quality)
            if quality > best.get(at, 0.0):
                best[at] = quality
    if not named:
        return 0.0, 0.0
    shared = sum(weights[at] * quality for at, quality in best.items())
    likeness = shared / (total + 0.5 * (len(keys) - len(named)))
    return likeness, sum(named.values()) / len(keys)
