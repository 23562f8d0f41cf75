"""Whether what a caller says over the agent takes the floor: interruption, backchannel, side talk.

The agent's playback is held while this is open (where the caller's side can hold it), goes on
where it stopped when it was none, and is cut only by an interruption.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from penny.turns.wordlist import words_of


Verdict = Literal["open", "resume", "interruption"]

HOLD_MS: Final = 400
"""Playback that was held for so long goes on as soon as the caller is quiet."""
AGAIN_MS: Final = 220
"""So much more speech interrupts once playback went on."""
QUIET_MS: Final = 180
"""A shorter gap is between two words."""
FAR_DB: Final = -8.0
"""Speech this much below the caller's usual level is spoken to another person."""
FAR_LEAST_MS: Final = 400
"""Speech whose level is worth something."""
MAX_BACKCHANNEL_WORDS: Final = 4
MIN_REPEATED_WORDS: Final = 2

_WORD: Final = re.compile(r"[^\W_]+")
_BACKCHANNELS: Final = words_of(
    "ajá aja ah ahá aha sí si vale claro ya ok okey okay bueno bien perfecto entiendo entendido",
    "de acuerdo exacto cierto correcto uy oh ay mm hm mhm eso es así muy genial estupendo anda",
    "uh huh yeah yes yep right sure i see got it fine good great alright true really wow",
)
"""Words that tell the agent to go on; a whole utterance of them takes no floor."""
_HUM: Final = re.compile(r"^(?:m+|h+m+|m+h+m*|a+h+|e+h+|u+h+|o+h+)$")


@dataclass(slots=True)
class Overlap:
    """A caller's speech that began while the agent was heard.

    ``since_ms``: when it was sure to be speech, on the input audio clock. ``least_ms``: speech
    that interrupts by its length alone. ``resumed``: it was taken for none already.
    """

    since_ms: int
    least_ms: int
    resumed: bool = False

    def judge(
        self,
        now_ms: int,
        speech_ms: int,
        quiet_ms: int,
        level_db: float,
        words: str,
        spoken: str,
        *,
        may_be_echo: bool = False,
    ) -> Verdict:
        """What it is by now.

        Args:
            now_ms: on the input audio clock.
            speech_ms: speech of it so far, without pauses. quiet_ms: of the pause now.
            level_db: of the speech, beside the caller's usual level; 0 where that is not known.
            words: its words so far, '' when they are not known.
            spoken: the agent's last words, of which an echo may be made.
            may_be_echo: whether it cannot be told yet from the agent's voice that the line brings
                back, which sounds again whenever playback goes on.
        """
        if level_db <= FAR_DB and speech_ms >= FAR_LEAST_MS:
            self.resumed = True
            return "resume"
        if words and takes_floor(words, spoken):
            return "interruption"
        is_over = now_ms - self.since_ms >= HOLD_MS and quiet_ms >= QUIET_MS
        if is_over or (words and quiet_ms):
            self.resumed = True
            if not may_be_echo:
                self.least_ms = min(self.least_ms, max(2 * AGAIN_MS, speech_ms + AGAIN_MS))
            return "resume"
        return "interruption" if speech_ms >= self.least_ms else "open"


def takes_floor(words: str, spoken: str = "") -> bool:
    """Whether words over the agent are meant for it: no backchannel, no echo of ``spoken``."""
    said = _split(words)
    if not said or _is_backchannel(said):
        return False
    before = f" {' '.join(_split(spoken))} "
    return len(said) < MIN_REPEATED_WORDS or f" {' '.join(said)} " not in before


def _is_backchannel(said: list[str]) -> bool:
    return len(said) <= MAX_BACKCHANNEL_WORDS and all(
        word in _BACKCHANNELS or _HUM.match(word) for word in said
    )


def _split(text: str) -> list[str]:
    return _WORD.findall(text.lower())
