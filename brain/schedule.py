"""When the brain analyses. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


Frequency = Literal["every_turn", "every_n_turns", "on_demand"]

NEW_WORDS = 2
"""A partial transcript with fewer new words than this is no news (KAME's rule)."""


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    frequency: Frequency = "every_turn"
    every_n: int = 2
    partial_words: int = 8
    debounce_s: float = 0.25


class Schedule:
    """Decides, transcript by transcript."""

    def __init__(self, settings: ScheduleSettings) -> None:
        self._settings = settings
        self._item_id = ""
        self._launched = ""

    def partial(self, item_id: str, text: str, now_s: float) -> float | None:
        """When to analyse what has been said so far, unless more words come; None for not yet."""
        if not self._may_run_ahead():
            return None
        words = text.split()
        if len(words) < self._settings.partial_words:
            return None
        known = self._launched if item_id == self._item_id else ""
        if len(words) - len(known.split()) < NEW_WORDS:
            return None
        return now_s + self._settings.debounce_s

    def launched(self, item_id: str, text: str) -> None:
        """An analysis of these words was begun."""
        self._item_id, self._launched = item_id, text

    def final(self, item_id: str, text: str, turn: int) -> bool:
        """Whether to analyse now that the turn's words are final.

        Not when an analysis of the same words runs already: it is the one.
        """
        if not text.strip() or not self._is_due(turn):
            return False
        return not (item_id == self._item_id and _words(text) == _words(self._launched))

    def review(self, turn: int) -> bool:
        """Whether the reply of this turn is looked at for mistakes."""
        return self._settings.frequency != "on_demand" and self._is_due(turn)

    def _may_run_ahead(self) -> bool:
        return self._settings.frequency == "every_turn"

    def _is_due(self, turn: int) -> bool:
        if self._settings.frequency == "every_turn":
            return True
        if self._settings.frequency == "on_demand":
            return False
        return (turn - 1) % self._settings.every_n == 0


def _words(text: str) -> list[str]:
    return [word.strip(".,;:¿?¡!").lower() for word in text.split()]
