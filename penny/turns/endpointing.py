"""How much silence ends the caller's turn.

``server_vad`` waits a fixed time. ``semantic_vad`` waits less when the words so far look finished,
longer when they end in the middle ("quiero ir a …"), and never longer than its cap. OpenAI's own
maxima are 8, 4 and 2 s for low, medium and high eagerness; ours are far shorter, because a caller
who finished and hears nothing for seconds believes the line is dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from penny.turns.completeness import judge_text, lacks_end


Kind = Literal["server_vad", "semantic_vad"]
Eagerness = Literal["low", "medium", "high", "auto"]


class _Waits(NamedTuple):
    """Silence that ends a turn, by what the words so far say."""

    finished_ms: int
    base_ms: int
    cap_ms: int


WAITS: Final[dict[Eagerness, _Waits]] = {
    "low": _Waits(400, 900, 3000),
    "medium": _Waits(240, 600, 1500),
    "auto": _Waits(240, 600, 1500),
    "high": _Waits(160, 300, 900),
}
"""Silence after finished words, after words that tell nothing, and the most ever waited."""

MIN_JUDGED_SPEECH_MS: Final = 500
"""A turn model's probability counts from here: on less speech it answers at random."""

UNENDED: Final = 0.25
"""A turn's probability at most, where its words lack the mark that their recogniser sets."""
CERTAIN, OPEN = 0.9, 1 / 6
"""A turn's probability from which the base is waited, and up to which the cap is. Of 300 prompts by
six speakers in five languages 63 % sound as certain at their end, and 24 % cut in their middle."""
LEAST_DOUBT: Final = 1 / 3
"""Of the way from base to cap: 0.9 s for ``medium``. Less hardly outlasts a pause for thought."""
PAUSE_MARGIN: Final = 1.25
"""A caller who paused before is given this much more than their longest pause."""


@dataclass(frozen=True, slots=True)
class Endpointing:
    """A session's turn detection. Raises ValueError naming the field that is out of range."""

    kind: Kind = "server_vad"
    silence_duration_ms: int = 500
    """For ``server_vad``; OpenAI's documented default."""
    eagerness: Eagerness = "auto"
    """For ``semantic_vad``; ``auto`` is ``medium``, as at OpenAI."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: {self.kind!r} is unknown; use {', '.join(get_args(Kind))}")
        if self.eagerness not in WAITS:
            raise ValueError(f"eagerness: {self.eagerness!r} is unknown; use {', '.join(WAITS)}")
        if self.silence_duration_ms < 1:
            raise ValueError(
                f"silence_duration_ms: {self.silence_duration_ms} is too small; use 1 or more"
            )

    def silence_ms(
        self,
        speech_ms: int,
        pauses_ms: Sequence[int],
        partial_text: str,
        turn_probability: float | None = None,
    ) -> int:
        """Silence that ends the turn as it stands now.

        Args:
            speech_ms: speech of this turn so far.
            pauses_ms: this turn's pauses that speech followed.
            partial_text: the transcript so far, "" when there is none.
            turn_probability: a turn model's opinion that the caller finished, 0..1.
        """
        if self.kind == "server_vad":
            return self.silence_duration_ms
        waits = WAITS[self.eagerness]
        if speech_ms < MIN_JUDGED_SPEECH_MS:
            turn_probability = None
        if lacks_end(partial_text):
            turn_probability = min(UNENDED, turn_probability or UNENDED)
        sounds_open = turn_probability is not None and turn_probability < 0.5
        match judge_text(partial_text):
            case "finished" if not sounds_open:
                return waits.finished_ms
            case "open":
                return waits.cap_ms
            case _ if turn_probability is not None and not partial_text.endswith("?"):
                wanted_ms = _weigh(waits, turn_probability)
            case _:
                # No opinion, or a question that sounds open.
                wanted_ms = waits.base_ms
        longest_pause_ms = max(pauses_ms, default=0)
        return min(max(wanted_ms, round(longest_pause_ms * PAUSE_MARGIN)), waits.cap_ms)


def _weigh(waits: _Waits, probability: float) -> int:
    """The model alone: the base where it is certain, else up to the cap.

    It never shortens: what is worth saying at once is being prepared during ``base`` anyway.
    """
    if probability >= CERTAIN:
        return waits.base_ms
    doubt = min(1.0, max(LEAST_DOUBT, (CERTAIN - probability) / (CERTAIN - OPEN)))
    return round(waits.base_ms + (waits.cap_ms - waits.base_ms) * doubt)
