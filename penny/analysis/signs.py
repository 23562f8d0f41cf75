"""Signs in a conversation, and the frustration that they add up to, live and in batch. Pure.

The same question again, the same answer again, a wish for a person, "ya se lo he dicho". An alert
needs two kinds of sign, or one that says it outright: a single hard word raises none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from rapidfuzz import fuzz

from penny.analysis.person import wants_person
from penny.analysis.sentiment import Mood
from penny.analysis.words import plain


Kind = Literal["asked_again", "answered_again", "told_again", "wants_person", "negative", "loud"]

VERSION = 1
KEPT = 0.7
"""Of the frustration, from one turn of the caller to the next."""
WEIGHTS: dict[Kind, float] = {
    "asked_again": 0.3,
    "answered_again": 0.2,
    "told_again": 0.35,
    "wants_person": 0.25,
    "negative": 0.5,  # times how negative
    "loud": 0.2,
}
ALERT = 0.7
HINT = 0.45
SAME = 88.0
"""Likeness (0..100) from which two sentences are one."""
LEAST_WORDS = 4
LOOK_BACK = 4
"""Sentences of a side that a new one is compared with."""
STUCK = 3
"""Turns without progress after which a person is offered."""
_TOLD_AGAIN = re.compile(
    r"\bya (?:se lo|te lo|os lo|lo) (?:he|habia|habiamos) (?:dicho|explicado|repetido|contado)"
    r"|\bya (?:se lo|te lo|os lo) (?:dije|explique|repeti|conte)\b|\b(?:otra|tercera|cuarta) vez\b"
    r"|\b(?:mil|tres|cuatro|diez|varias|muchas) veces\b|\bcuantas veces\b|\bse lo repito\b"
    r"|\bi(?:'ve| have)? already (?:told|said|explained)\b"
    r"|\bhow many times\b|\bfor the third time\b"
)
_WITHOUT_PROGRESS = re.compile(
    r"\bno (?:consta|lo encuentro|puedo ayudar|le he entendido|te he entendido|dispongo|tengo esa)"
    r"|\bpuede repetir|\bpuedes repetir|\blo siento, no\b|\bcannot find\b|\bdid not understand\b"
    r"|\bdidn't (?:catch|understand)\b|\bcould you repeat\b|\bno he entendido"
)


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign and the turns it rests on."""

    kind: Kind
    turns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What has added up so far in a call. ``frustration`` is 0..1, ``without_progress`` counts
    answers in a row that did not help."""

    frustration: float = 0.0
    asked: tuple[tuple[int, str], ...] = ()
    answered: tuple[tuple[int, str], ...] = ()
    recent: tuple[Sign, ...] = ()
    without_progress: int = 0
    signs: tuple[Sign, ...] = field(default=())

    @property
    def is_alarming(self) -> bool:
        """Whether a person should see this: enough, and of two kinds."""
        kinds = {sign.kind for sign in self.recent}
        return self.frustration >= ALERT and len(kinds) > 1

    @property
    def is_stuck(self) -> bool:
        """Whether turns go by without progress."""
        return self.without_progress >= STUCK

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns that the frustration rests on."""
        return tuple(sorted({turn for sign in self.recent for turn in sign.turns}))


def hear(state: State, turn: int, words: str, mood: Mood, *, is_loud: bool = False) -> State:
    """The state after the caller said ``words``."""
    folded = plain(words)
    found: list[Sign] = []
    before = _same(folded, state.asked)
    if before is not None:
        found.append(Sign("asked_again", (before, turn)))
    if _TOLD_AGAIN.search(folded):
        found.append(Sign("told_again", (turn,)))
    if wants_person(words):
        found.append(Sign("wants_person", (turn,)))
    if mood.score < -0.2:
        found.append(Sign("negative", (turn,)))
    if is_loud:
        found.append(Sign("loud", (turn,)))
    added = sum(WEIGHTS[s.kind] * (-mood.score if s.kind == "negative" else 1) for s in found)
    recent = tuple(s for s in (*state.recent, *found) if s.turns[-1] > turn - STUCK)
    return replace(
        state,
        frustration=round(min(1.0, KEPT * state.frustration + added), 3),
        asked=(*state.asked, (turn, folded))[-LOOK_BACK:],
        recent=recent,
        signs=(*state.signs, *found),
    )


def answer(state: State, turn: int, heard: str) -> State:
    """The state after the caller heard ``heard``."""
    folded = plain(heard)
    before = _same(folded, state.answered)
    found = [Sign("answered_again", (before, turn))] if before is not None else []
    is_no_help = before is not None or bool(_WITHOUT_PROGRESS.search(folded))
    return replace(
        state,
        frustration=min(1.0, state.frustration + sum(WEIGHTS[s.kind] for s in found)),
        answered=(*state.answered, (turn, folded))[-LOOK_BACK:],
        recent=(*state.recent, *found),
        signs=(*state.signs, *found),
        without_progress=state.without_progress + 1 if is_no_help else 0,
    )


def _same(folded: str, earlier: tuple[tuple[int, str], ...]) -> int | None:
    """The turn in which the same was said before."""
    if len(folded.split()) < LEAST_WORDS:
        return None
    for turn, text in reversed(earlier):
        if fuzz.token_sort_ratio(folded, text) >= SAME:
            return turn
    return None
