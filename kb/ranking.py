"""How well one passage answers among the others, and how sure that is. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import TypedDict

import orjson

from kb.evidence import Evidence


# Written by tests/bench/kb_calibrate.py from the dev questions.
WEIGHTS = Path(__file__).with_name("weights.json")
# A rule, not fitted: a named code that is not in a passage outweighs everything else.
MISSING_CODE_ODDS = 9.0
_MOST_ODDS = 30.0

_FIELD = 5
_SHORT_TALK_WORDS, _LONG_TALK_WORDS = 6, 24


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


def standings(odds: list[float], words: int, most: int | None = None) -> list[Standing]:
    """Return each candidate's standing, or those of the first ``most``.

    Args:
        odds: of all candidates, best first.
        words: how many the question has.
    """
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
        for at, own in enumerate(odds[:most])
    ]


def _talk(words: int) -> float:
    span = _LONG_TALK_WORDS - _SHORT_TALK_WORDS
    return min(1.0, max(0.0, (words - _SHORT_TALK_WORDS) / span))


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
        evidence.guessed,
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

    def trust(self, evidence: Evidence, standing: Standing, more: float = 0.0) -> float:
        """Return 0..1, 0.5 being as likely an answer as not.

        Args:
            more: log-odds of what else speaks for it or against it.
        """
        if not evidence.coverage:
            return 0.0
        odds = self._trust_bias + more
        odds += math.fsum(map(mul, self._trust, trust_features(evidence, standing)))
        odds -= MISSING_CODE_ODDS * evidence.missing_code
        return 1.0 / (1.0 + math.exp(-max(-_MOST_ODDS, min(_MOST_ODDS, odds))))


JUDGE = Judge.load()
