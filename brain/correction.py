"""Whether a mistake is put right, and whether the next reply did it. Pure.

What counts is what the caller heard: words that an interruption cut are no mistake. Words are
compared as the knowledge base compares them, so ``quince de enero`` is ``2025-01-15``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from brain.folio import CorrectionNote
from kb.normal.analysis import Token, analyse


Severity = Literal["low", "medium", "high"]
Decision = Literal["place", "silent", "drop"]
Progress = Literal["confirmed", "raise", "reported"]

_RANK: dict[Severity, int] = {"low": 0, "medium": 1, "high": 2}
_BY_TYPE: dict[str, Severity] = {
    "safety": "high",
    "legal": "high",
    "privacy": "high",
    "date": "high",
    "amount": "high",
    "factual_error": "medium",
    "omission": "low",
    "tone": "low",
    "style": "low",
}
_TELLING = frozenset({"number", "date", "code"})


@dataclass(frozen=True, slots=True)
class CorrectionSettings:
    enabled: bool = True
    min_severity: Severity = "medium"
    every_n_turns: int = 3
    max_per_session: int = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """``place`` has it spoken; ``silent`` only tells the speaker; ``drop`` records it."""

    decision: Decision
    reason: str
    severity: Severity


@dataclass(slots=True)
class _Open:
    note: CorrectionNote
    folio_id: str
    raised: bool = False


class CorrectionDesk:
    """The corrections of one session."""

    def __init__(self, settings: CorrectionSettings, language: str) -> None:
        self._settings = settings
        self._language: Literal["es", "en"] = "en" if language.startswith("en") else "es"
        self._open: _Open | None = None
        self._last_turn: int | None = None
        self._told: set[frozenset[str]] = set()
        self.muted = not settings.enabled
        self.made = self.confirmed = self.reported = 0

    def mute(self) -> None:
        """The kill switch: nothing is corrected aloud any more in this session."""
        self.muted = True

    def consider(self, note: CorrectionNote, heard: str, turn: int) -> Verdict:
        """Judge a mistake that the brain claims, against what was heard."""
        severity = self._severity(note)
        wrong = self._keys(note.what_gpt_said) - self._keys(note.correct_info)
        if not note.correction_needed or not note.inject_correction:
            return Verdict("drop", "not_needed", severity)
        if not self._was_heard(note, heard):
            return Verdict("drop", "not_heard", severity)
        if frozenset(wrong) in self._told:
            return Verdict("drop", "told_before", severity)
        if self.muted:
            return Verdict("drop", "kill_switch", severity)
        if _RANK[severity] < _RANK[self._settings.min_severity]:
            return Verdict("drop", "low_severity", severity)
        if self._last_turn is not None and turn - self._last_turn < self._settings.every_n_turns:
            return Verdict("silent", "cooldown", severity)
        return Verdict("place", "heard", severity)

    def placed(self, note: CorrectionNote, folio_id: str, turn: int) -> None:
        """The speaker was told to put it right."""
        self._open = _Open(note, folio_id)
        self._last_turn = turn
        wrong = self._keys(note.what_gpt_said) - self._keys(note.correct_info)
        self._told.add(frozenset(wrong))
        self.made += 1
        if self.made >= self._settings.max_per_session:
            self.mute()

    def reply_heard(self, text: str) -> tuple[Progress, CorrectionNote, str] | None:
        """Look whether the reply says it: ``raise`` once by the stronger placement, then report.

        Returns None when nothing is open, else the progress, the note and its folio.
        """
        waiting = self._open
        if waiting is None:
            return None
        if self._says(text, waiting.note):
            self._open = None
            self.confirmed += 1
            return "confirmed", waiting.note, waiting.folio_id
        if not waiting.raised:
            waiting.raised = True
            return "raise", waiting.note, waiting.folio_id
        self._open = None
        self.reported += 1
        return "reported", waiting.note, waiting.folio_id

    def raised_as(self, folio_id: str) -> None:
        if self._open is not None:
            self._open.folio_id = folio_id

    # -- comparing ----------------------------------------------------------------------------

    def _severity(self, note: CorrectionNote) -> Severity:
        known = _BY_TYPE.get(note.correction_type, "medium")
        if known == "medium" and self._telling(note.correct_info) - self._telling(
            note.what_gpt_said
        ):
            return "high"
        return known

    def _was_heard(self, note: CorrectionNote, heard: str) -> bool:
        said = self._keys(note.what_gpt_said)
        wrong = said - self._keys(note.correct_info)
        there = self._keys(heard)
        if wrong:
            return len(wrong & there) >= (len(wrong) + 1) // 2
        return bool(said) and len(said & there) >= 0.6 * len(said)

    def _says(self, text: str, note: CorrectionNote) -> bool:
        there = self._keys(text)
        telling = self._telling(note.correct_info) - self._telling(note.what_gpt_said)
        if telling:
            return telling <= there
        right = self._keys(note.correct_info) - self._keys(note.what_gpt_said)
        return bool(right) and len(right & there) >= 0.6 * len(right)

    def _tokens(self, text: str) -> list[Token]:
        return [token for token in analyse(text, self._language) if not token.stop and token.keys]

    def _keys(self, text: str) -> set[str]:
        return {token.keys[0] for token in self._tokens(text)}

    def _telling(self, text: str) -> set[str]:
        told = {t.keys[0]: t.kind for t in self._tokens(text) if t.kind in _TELLING}
        if "date" in told.values():
            # A day is put right without its year: nobody says it.
            return {key for key in told if not re.fullmatch(r"(19|20)\d\d", key)}
        return set(told)


def has_claim(text: str, language: str) -> bool:
    """Whether a reply states something that can be checked: a number, a date, a code, a day."""
    tokens = analyse(text, "en" if language.startswith("en") else "es")
    return any(token.kind in _TELLING or token.surface in _DAY_WORDS for token in tokens)


_DAY_WORDS = frozenset(
    [
        "manana",
        "mañana",
        "hoy",
        "ayer",
        "lunes",
        "martes",
        "miercoles",
        "jueves",
        "viernes",
        "sabado",
        "domingo",
        "gratis",
        "nunca",
        "siempre",
        "tomorrow",
        "today",
        "yesterday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "free",
    ]
)
