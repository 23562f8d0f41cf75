"""How well one passage answers the concepts, and how sure that is. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from pathlib import Path
from typing import TypedDict

import orjson

from kb.index import StoredPassage
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
    ``unheard``: the weight of strong words that the collection has nothing for. ``elsewhere``: 1
    when a subject of other trades was named. ``guessed``: the share of strong weight found by
    another word only.
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
    elsewhere: float = 0.0
    guessed: float = 0.0


NOTHING = Evidence()

# Written by tests/bench/kb_calibrate.py from the dev questions.
WEIGHTS = Path(__file__).with_name("weights.json")
# A rule, not fitted: a named code that is not in a passage outweighs everything else.
MISSING_CODE_ODDS = 9.0
_MOST_ODDS = 30.0

# This much matched weight counts as full: about three rare words.
_FULL_MASS = 3.0
_FULL_NAMED = 3
_PAIR = 2
_FULL_PHRASES = 8
_FIELD = 5
_SHORT_TALK_WORDS, _LONG_TALK_WORDS = 6, 24
_FOUND = 0.7
_FOUND_ITSELF = 0.9
_NOTHING_LOST = 0.05
_WORD_FOR_WORD = 0.95


class Weights(TypedDict):
    """One weight for each feature, in the order of ``rank_features`` and ``trust_features``."""

    rank: list[float]
    trust_bias: float
    trust: list[float]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a candidate stands among the others of its question.

    ``odds``: its log-odds by the rank. ``lead``, ``lead_field``: those over the next one's and the
    fifth after it. ``share``: 0..1 of all the candidates' chance. ``talk``: 0 for a question of up
    to six words, 1 for one of twenty-four: much of what a long one says is in no document, and
    what is found of it tells as much as more of a short one.
    """

    odds: float = 0.0
    lead: float = 0.0
    lead_field: float = 0.0
    share: float = 0.0
    talk: float = 0.0


def standings(odds: list[float], words: int) -> list[Standing]:
    """Return each candidate's standing; ``odds`` best first, ``words`` those of the question."""
    if not odds:
        return []
    chances = [math.exp(max(-_MOST_ODDS, each - odds[0])) for each in odds]
    total, talk = math.fsum(chances), _talk(words)

    def over(own: float, rival: int) -> float:
        """Where there is no rival, nothing at all is one: its odds are 0."""
        return own - (odds[rival] if rival < len(odds) else min(own, 0.0))

    return [
        Standing(
            own,
            over(own, at + 1),
            over(own, at + _FIELD),
            chances[at] / total,
            talk,
        )
        for at, own in enumerate(odds)
    ]


def _talk(words: int) -> float:
    span = _LONG_TALK_WORDS - _SHORT_TALK_WORDS
    return min(1.0, max(0.0, (words - _SHORT_TALK_WORDS) / span))


@dataclass(slots=True)
class _Tally:
    """Sums over the concepts of a question for one passage."""

    total: float = 0.0
    found: float = 0.0
    strong_total: float = 0.0
    strong: float = 0.0
    unknown: float = 0.0
    missing_code: float = 0.0
    lost_most: float = 0.0
    found_most: float = 0.0
    unheard: float = 0.0
    elsewhere: float = 0.0
    guessed: float = 0.0
    things: int = 0
    named: int = 0
    exact: float = 0.0

    def add(self, concept: Concept, best: float) -> None:
        weight = concept.weight
        self.total += weight
        self.found += weight * best
        if not concept.known:
            self.unknown += weight
        if concept.kind == "code" and not best:
            self.missing_code = 1.0
        if concept.elsewhere:
            self.elsewhere = 1.0
        if concept.weak:
            return
        if 0.0 < best < _FOUND_ITSELF:
            self.guessed += weight
        self.strong_total += weight
        self.strong += weight * best
        self.things += 1
        if not concept.known:
            self.unheard += weight
        self.named += best >= _FOUND
        self.found_most = max(self.found_most, weight * best)
        self.lost_most = max(self.lost_most, weight * (1.0 - best))
        if best >= _WORD_FOR_WORD:
            self.exact += weight


def weigh(
    stored: StoredPassage,
    concepts: list[Concept],
    lexical: float,
    wanted: str | None = None,
    sounds: str = "",
) -> Evidence:
    """Compare one candidate with the question; ``lexical`` is its share of the best BM25."""
    present = stored.keys
    tally = _Tally()
    here: list[list[str]] = []
    for concept in concepts:
        best = 0.0
        keys = [key for key in concept.keys if key in present]
        here.append(keys)
        for key in keys:
            best = max(best, concept.keys[key])
        tally.add(concept, best)
    if not tally.found:
        return Evidence(lexical=lexical, missing_code=tally.missing_code, lost=tally.strong_total)
    asked = said = echo = within = 0.0
    if stored.sizes:
        asked, said = compare_phrases(stored, concepts, tally.total)
        echo, within = listen(stored.sounds, sounds)
    headed, titled, _ = _likeness(stored.heading, concepts, tally.total)
    return Evidence(
        coverage=tally.found / tally.total,
        strong=tally.strong / tally.strong_total if tally.strong_total else 0.0,
        asked=asked,
        headed=headed,
        titled=titled,
        lexical=lexical,
        mass=min(1.0, tally.found / _FULL_MASS),
        together=_together(stored.sequence, here),
        intent=1.0 if wanted is None or wanted in stored.holds else 0.0,
        unknown=tally.unknown / tally.total,
        missing_code=tally.missing_code,
        lost=tally.strong_total - tally.strong,
        lost_most=tally.lost_most,
        named=min(1.0, tally.named / _FULL_NAMED),
        exact=tally.exact / tally.strong_total if tally.strong_total else 0.0,
        complete=tally.found_most if tally.lost_most < _NOTHING_LOST else 0.0,
        said=said,
        rich=min(1.0, len(stored.sizes) / _FULL_PHRASES),
        echo=echo,
        within=within,
        things=1.0 / (1 + tally.things),
        unheard=tally.unheard,
        elsewhere=tally.elsewhere,
        guessed=tally.guessed / tally.strong_total if tally.strong_total else 0.0,
        lost_share=1.0 - tally.strong / tally.strong_total if tally.strong_total else 0.0,
    )


def _together(sequence: str, here: list[list[str]]) -> float:
    """``here``: of each concept, in order, the keys that the passage has."""
    if len(here) < _PAIR:
        return 0.0
    found = 0
    for left, right in pairwise(here):
        found += bool(left and right) and any(
            f" {first} {second} " in sequence for first in left for second in right
        )
    return found / (len(here) - 1)


def _likeness(
    keys: frozenset[str], concepts: list[Concept], total: float
) -> tuple[float, float, float]:
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
        return 0.0, 0.0, 0.0
    likeness = shared / (total + 0.5 * (len(keys) - len(matched)))
    return likeness, named / len(keys), shared


def rank_features(evidence: Evidence) -> tuple[float, ...]:
    """Return what orders the candidates of one question, some of it only together."""
    strong, titled = evidence.strong, evidence.titled
    return (
        evidence.coverage,
        titled,
        evidence.lexical,
        evidence.mass,
        evidence.together,
        evidence.intent,
        evidence.lost_most,
        evidence.echo * evidence.echo,
        evidence.within * evidence.within,
        strong * titled,
        evidence.lexical * strong,
        strong * strong,
        max(evidence.asked, evidence.headed),
        evidence.asked * evidence.said,
        evidence.asked,
        evidence.said,
        evidence.complete,
    )


def trust_features(evidence: Evidence, standing: Standing) -> tuple[float, ...]:
    """Return what tells an answer from the nearest wrong thing."""
    return (
        evidence.coverage,
        evidence.strong,
        evidence.asked,
        evidence.said,
        evidence.titled,
        evidence.mass,
        evidence.together,
        evidence.intent,
        evidence.strong * evidence.titled,
        evidence.lost,
        evidence.lost_most,
        evidence.named,
        evidence.exact,
        evidence.complete,
        evidence.lost_share,
        evidence.unheard,
        evidence.unknown,
        evidence.things,
        evidence.echo * evidence.echo,
        evidence.within * evidence.within,
        evidence.elsewhere,
        evidence.guessed,
        evidence.elsewhere * evidence.lost_share,
        evidence.rich,
        evidence.rich * evidence.asked,
        evidence.rich * evidence.said,
        standing.odds,
        standing.lead,
        standing.lead_field,
        standing.share,
        standing.talk,
    )


class Judge:
    """The fitted weights: one line for the rank, one for the trust."""

    def __init__(self, weights: Weights) -> None:
        self._rank = tuple(weights["rank"])
        self._trust_bias = weights["trust_bias"]
        self._trust = tuple(weights["trust"])

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Judge:
        weights: Weights = orjson.loads(path.read_bytes())
        return cls(weights)

    def rank(self, evidence: Evidence) -> float:
        """Return the log-odds, but for a constant, that this candidate, not another, answers."""
        odds = math.fsum(map(mul, self._rank, rank_features(evidence)))
        return odds - MISSING_CODE_ODDS * evidence.missing_code

    def trust(self, evidence: Evidence, standing: Standing) -> float:
        """Return 0..1, 0.5 being as likely an answer as not."""
        if not evidence.coverage:
            return 0.0
        odds = self._trust_bias
        odds += math.fsum(map(mul, self._trust, trust_features(evidence, standing)))
        odds -= MISSING_CODE_ODDS * evidence.missing_code
        return 1.0 / (1.0 + math.exp(-max(-_MOST_ODDS, min(_MOST_ODDS, odds))))


JUDGE = Judge.load()
