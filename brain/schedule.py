"""When the brain analyses. Pure: the time is an argument.

A turn has one analysis, of its final words. A turn that pauses while it is spoken may have one
more, begun early on its words so far; nothing is ever begun to be thrown away.
"""

from __future__ import annotations

from brain.claims import is_backchannel
from config.brain import BrainSection


FEW_WORDS = 2
"""Final words beyond those analysed early that change nothing worth another analysis."""


class Schedule:
    """Decides, transcript by transcript. ``settings``: the session's own."""

    def __init__(self, settings: BrainSection) -> None:
        self._settings = settings
        self._early: dict[int, list[str]] = {}
        self._newest = 0

    def partial(self, text: str, turn: int, now_s: float) -> float | None:
        """When to analyse what has been said so far, unless more words come; None for not at all.

        Once a turn at most, and what is begun ends: a later analysis does not cancel it.
        """
        wanted = self._settings.update_frequency == "every_turn"
        if not wanted or turn in self._early or turn <= self._newest:
            return None
        if len(_words(text)) < self._settings.partial_words:
            return None
        return now_s + self._settings.partial_debounce_ms / 1000

    def began_early(self, text: str, turn: int) -> None:
        """An analysis of these words so far was begun."""
        self._early = {turn: _words(text)}

    def final(self, text: str, turn: int, last_reply: str) -> bool:
        """Whether to analyse now that the turn's words are final; True at most once per turn.

        Not for a backchannel, unless it answers a question; not when the analysis that was begun
        early has all but the last few words; not when a later turn was analysed already.
        """
        if not text.strip() or not self.is_due(turn) or turn <= self._newest:
            return False
        if is_backchannel(text) and not last_reply.rstrip().endswith("?"):
            return False
        self._newest = turn
        words, early = _words(text), self._early.get(turn, [])
        return not (early and words[: len(early)] == early and len(words) - len(early) <= FEW_WORDS)

    def is_due(self, turn: int) -> bool:
        """Whether this turn is one to analyse, and its reply one to look at for mistakes."""
        frequency = self._settings.update_frequency
        if frequency == "every_n_turns":
            return (turn - 1) % self._settings.every_n == 0
        return frequency == "every_turn"


def _words(text: str) -> list[str]:
    return [word.strip(".,;:¿?¡!…").lower() for word in text.split()]
