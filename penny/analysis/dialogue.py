"""A call as what each side said, in order: what every step reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from penny.calls.record import Call, Turn


Side = Literal["caller", "penny"]


@dataclass(frozen=True, slots=True)
class Said:
    """Words of one side. ``turn`` is the number of the turn, ``at_ms`` since the call began."""

    turn: int
    side: Side
    text: str
    at_ms: float


def said_in(call: Call, words: dict[int, str] | None = None) -> list[Said]:
    """All that was said by the caller and heard of Penny.

    Args:
        words: by position in ``call.turns``, in place of what was recognised live.
    """
    return list(_said(call.turns, words or {}))


def _said(turns: Sequence[Turn], words: dict[int, str]) -> Iterator[Said]:
    for position, turn in enumerate(turns):
        text = words.get(position) or turn.words or ""
        if text.strip():
            yield Said(turn.number, "caller", text.strip(), turn.from_ms)
        if turn.heard_text.strip():
            yield Said(turn.number, "penny", turn.heard_text.strip(), turn.until_ms)


def of_caller(said: Sequence[Said]) -> list[Said]:
    """What the caller said."""
    return [each for each in said if each.side == "caller"]


def of_penny(said: Sequence[Said]) -> list[Said]:
    """What was heard of Penny."""
    return [each for each in said if each.side == "penny"]
