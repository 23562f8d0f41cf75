"""Which mistakes are put right, and whether the next reply did it. Pure.

What counts is what the caller heard: words that an interruption cut are no mistake. A claim of
the brain is checked here against the evidence that it names, word by word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from brain.claims import Claims, Statement
from brain.folio import CorrectionNote, Json
from config.brain import Corrections


Progress = Literal["confirmed", "raise", "reported"]
State = Literal["open", "confirmed", "reported", "withdrawn"]

_RANKS = {"low": 0, "medium": 1, "high": 2}
_SEVERITIES = {
    "high": frozenset(["safety", "legal", "privacy", "date", "amount"]),
    "low": frozenset(["omission", "tone", "style"]),
}
"""Severity -> the correction types that have it; any other is ``medium``."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a correction may rest on, by id: texts of passages, results of actions that ran."""

    passages: Mapping[str, str]
    actions: Mapping[str, str]


@dataclass(slots=True)
class Placed:
    """A correction that the speaker was told. ``misses``: replies that had it and said something
    else."""

    note: CorrectionNote
    said: Statement
    correct: Statement
    folio_id: str
    turn: int
    item_id: str
    misses: int = 0
    state: State = "open"


class CorrectionDesk:
    """The corrections of one session."""

    def __init__(self, settings: Corrections, claims: Claims) -> None:
        self._settings = settings
        self._claims = claims
        self._placed: list[Placed] = []
        self.muted = not settings.enabled
        """The kill switch: nothing is corrected aloud any more in this session."""

    def bodies(self, state: State) -> tuple[Json, ...]:
        """Those still to be said ("open"), or said ("confirmed")."""
        return tuple(each.note.body for each in self._placed if each.state == state)

    def reason_against(
        self,
        note: CorrectionNote,
        heard: str,
        item_id: str,
        evidence: Evidence,
        later: Iterable[str] = (),
    ) -> str:
        """Why a mistake that the brain claims is not put right; "" when it is to be. ``heard``:
        of the reply at fault, ``item_id``; ``later``: of replies after it."""
        read, quoted = self._claims.read, self._claims.in_place(note.what_gpt_said, heard)
        said, correct = read(quoted), read(note.correct_info)
        if not note.correction_needed or not note.inject_correction:
            return "not_needed"
        if not said.differs_from(correct):
            return "no_difference"
        if not self._claims.was_heard(said, correct, heard):
            return "not_heard"
        if any(_is_same(each, said, correct, item_id) for each in self._placed):
            return "told_before"
        reason = self._lacks_evidence(note, said, correct, evidence)
        if reason:
            return reason
        if any(self._claims.says(text, correct, said) for text in later):
            return "already_right"
        if _severity(note, said, correct) < _RANKS[self._settings.min_severity]:
            return "low_severity"
        return "kill_switch" if self.muted else ""

    def _lacks_evidence(
        self, note: CorrectionNote, said: Statement, correct: Statement, evidence: Evidence
    ) -> str:
        ran = {name: self._claims.read(text).keys for name, text in evidence.actions.items()}
        shown = {name: self._claims.read(text).keys for name, text in evidence.passages.items()}
        wrong, news = said.keys - correct.keys, correct.keys - said.keys
        if wrong and any(wrong <= keys and not news <= keys for keys in ran.values()):
            # What ran in this call is newer than any document: only another result outdoes it.
            borne_out = any(_bears_out(keys, said, correct, least=0.6) for keys in ran.values())
            return "" if borne_out else "action_says_so"
        read = ran | shown
        cited = read.get(note.evidence)
        if cited is not None and _bears_out(cited, said, correct, least=0.3):
            return ""
        if any(_bears_out(keys, said, correct, least=0.6) for keys in read.values()):
            return ""
        return "no_evidence" if cited is None else "evidence_silent"

    def placed(self, note: CorrectionNote, folio_id: str, turn: int, item_id: str) -> None:
        """The speaker is told to put it right."""
        said, correct = self._claims.read(note.what_gpt_said), self._claims.read(note.correct_info)
        self._placed.append(Placed(note, said, correct, folio_id, turn, item_id))
        if len(self._placed) >= self._settings.max_per_session:
            self.muted = True

    def reply_heard(
        self, heard: str, asked: str, in_force: Iterable[str], *, whole: bool = True
    ) -> list[tuple[Progress, Placed]]:
        """What a reply did with the corrections that it had: said them, or not.

        Not said once, a correction is raised by the stronger placement; twice, it is reported. A
        reply that states nothing, or was not heard ``whole``, counts for neither.
        """
        steps: list[tuple[Progress, Placed]] = []
        spends = whole and self._claims.has_claim(heard, asked)
        told = frozenset(in_force)
        for each in self._placed:
            if each.state != "open" or each.folio_id not in told:
                continue
            if self._claims.says(heard, each.correct, each.said):
                each.state = "confirmed"
                steps.append(("confirmed", each))
            elif spends:
                each.misses += 1
                if each.misses > 1:
                    each.state = "reported"
                steps.append(("raise" if each.misses == 1 else "reported", each))
        return steps

    def gone(self, folio_id: str) -> None:
        """Its folio left the speaker's context unsaid: the same mistake may be raised anew."""
        for each in self._placed:
            if each.folio_id == folio_id and each.state == "open":
                each.state = "withdrawn"


def _bears_out(keys: frozenset[str], said: Statement, correct: Statement, least: float) -> bool:
    """Whether a text with these keys says what is correct rather than what was said.

    Numbers and dates that are put right must be there: one of them where the brain named the text
    (``least`` is low: the others may follow from it), all where it did not.
    """
    wrong, news = said.keys - correct.keys, correct.keys - said.keys or correct.keys
    if wrong and wrong <= keys and not news <= keys:
        return False
    telling = correct.telling - said.telling
    if telling:
        return bool(telling & keys) if least < 0.5 else telling <= keys
    return len(news & keys) >= least * len(news)


def _severity(note: CorrectionNote, said: Statement, correct: Statement) -> int:
    kind = note.correction_type
    known = next((name for name, kinds in _SEVERITIES.items() if kind in kinds), "medium")
    return _RANKS["high" if known == "medium" and correct.telling - said.telling else known]


def _is_same(placed: Placed, said: Statement, correct: Statement, item_id: str) -> bool:
    """Whether the mistake was raised before: it is still open, or of the very same reply.

    Said wrong again after it was put right, it is another mistake; and so are the same words about
    another invoice.
    """
    if placed.state == "withdrawn" or (placed.state != "open" and placed.item_id != item_id):
        return False
    if placed.said.codes and said.codes and placed.said.codes != said.codes:
        return False
    wrong, right = said.keys - correct.keys, correct.keys - said.keys
    if wrong != placed.said.keys - placed.correct.keys:
        return False
    if right != placed.correct.keys - placed.said.keys:
        return False
    shared, before = said.keys & correct.keys, placed.said.keys & placed.correct.keys
    together = shared | before
    if shared <= before or before <= shared:
        return said.negated == placed.said.negated
    return len(shared & before) >= 0.6 * len(together) and said.negated == placed.said.negated
