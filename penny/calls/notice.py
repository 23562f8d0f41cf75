"""What a caller is told before their voice is kept, and whether they agreed. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from penny.localized import in_language, language_of


Answer = Literal["yes", "no", "unclear"]

YES_KEY, NO_KEY = "1", "2"
ANSWERS = 2
"""Of what is said after the question so many are taken for its answer; a later yes means another
thing."""


def write_notice(
    policy: str, controller: str, purpose: str, contact: str, days: int | None, language: str
) -> str:
    """The sentence that is spoken under ``announce`` and ``ask``; '' under any other policy.

    Args:
        days: that the sound is kept; None for ever.
    """
    if policy not in ("announce", "ask"):
        return ""
    if language_of(language) == "en":
        kept = "without limit" if days is None else f"for {days} days"
        told = (
            f"This call is recorded by {controller}, {in_language(purpose, 'en')}, and kept {kept}."
            f" You may hear or erase it: {contact}."
        )
        asked = " Do you agree? Say yes or no, or press 1 for yes and 2 for no."
    else:
        kept = "sin límite" if days is None else f"durante {days} días"
        told = (
            f"{controller} graba esta llamada para {in_language(purpose, 'es')} y la guarda {kept}."
            f" Puede oírla o borrarla: {contact}."
        )
        asked = " ¿Está de acuerdo? Diga sí o no, o pulse 1 para sí y 2 para no."
    return told + asked if policy == "ask" else told


@dataclass(slots=True)
class Consent:
    """Whether the sound of one call may be kept now, and how that came to be.

    Args:
        policy: ``off``, ``on``, ``announce`` (from the announcement's first sound on) or ``ask``
            (from a yes on; without it no word is kept either).
        read: an answer to "may I?".
        keeps_text: whether the record may hold words at all.
    """

    policy: str
    read: Callable[[str], Answer] = field(default=lambda _words: "unclear")
    keeps_text: bool = True
    answer: str = ""
    """``yes`` or ``no``; '' while there is none."""
    is_withdrawn: bool = False
    """Whether the caller took it back, under whatever policy: nothing is kept any more."""
    _heard: list[str] = field(default_factory=list)
    _is_announced: bool = False

    @property
    def is_asking(self) -> bool:
        """Whether an answer still counts."""
        return self.policy == "ask" and not self.answer and len(self._heard) < ANSWERS

    @property
    def keeps_words(self) -> bool:
        """Whether what is said may stand in the record."""
        return self.keeps_text and self.allows_words

    @property
    def allows_words(self) -> bool:
        """Whether the caller lets their words be kept, for numbers to be found in them at least."""
        return not self.is_withdrawn and (self.policy != "ask" or self.answer == "yes")

    @property
    def keeps_sound(self) -> bool:
        return not self.is_withdrawn and (
            self.policy == "on"
            or (self.policy == "announce" and self._is_announced)
            or (self.policy == "ask" and self.answer == "yes")
        )

    def speaks(self) -> None:
        """Penny's first sound: the announcement begins."""
        self._is_announced = True

    def hear(self, item_id: str, words: str) -> bool:
        """Take words of the caller's; whether they are the answer. An item counts once."""
        if not self.is_asking or item_id in self._heard or not words.strip():
            return False
        self._heard.append(item_id)
        return self.press(words.strip()) or self._take(self.read(words))

    def press(self, key: str) -> bool:
        """Take a key; whether it is the answer."""
        return self.is_asking and self._take({YES_KEY: "yes", NO_KEY: "no"}.get(key, ""))

    def _take(self, answer: str) -> bool:
        if answer in ("yes", "no"):
            self.answer = answer
        return bool(self.answer)
