"""Whether the caller is told that they were not understood. Pure."""

from __future__ import annotations

from typing import Final

from runpod_worker.stages import Transcript


MIN_SPEECH_MS: Final = 1000
"""Less is a cough, or a word to another person."""


class Excuses:
    """One caller's excuses: for a sentence, and never twice running.

    Args:
        needs_words: whether ears that do not trust a sentence still tell its words; those of a
            closed set tell none.
    """

    def __init__(self, *, needs_words: bool) -> None:
        self._needs_words = needs_words
        self._has_excused = False
        self.speech_ms = MIN_SPEECH_MS
        """Speech of the last turn; what a client committed itself counts as said to Penny."""

    def allows(self, heard: Transcript | None) -> bool:
        """Whether to excuse; to be asked once for every turn that is to be answered."""
        understood = heard is None or heard.understood
        has_words = heard is not None and bool(heard.text or not self._needs_words)
        is_due = not understood and has_words and self.speech_ms >= MIN_SPEECH_MS
        allowed = is_due and not self._has_excused
        self._has_excused = allowed or (self._has_excused and not understood)
        return allowed
