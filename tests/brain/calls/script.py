"""What happens in a scripted call, and what is wanted of it. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


Json = dict[str, Any]
Kind = Literal["planted", "interrupted", "changed", "race", "injection"]
Fault = Literal[
    "",
    "drop_in_tool",
    "drop_in_answer",
    "drop_in_speech",
    "no_done",
    "error_for_created",
    "busy",
    "late_words",
    "lost_ack",
]
"""What goes wrong in a turn: the connection drops while a tool runs, in mid-answer or in
mid-speech; ``response.done`` never comes; an error comes in place of ``response.created``; the
provider is too busy; the transcript comes with the next turn's; an item is not acknowledged."""


@dataclass(frozen=True)
class Plant:
    """Something that the speaker says and the brain looks at.

    ``wanted``: whether it is wrong and to be put right aloud. A brain that claims it though it is
    not is part of the script too.
    """

    said: str
    correct: str
    evidence: str = ""
    """Words by which the scripted brain finds the passage or action that it cites."""
    wanted: bool = True
    kind: str = "factual_error"


@dataclass(frozen=True)
class Turn:
    """One turn: what the caller says and what the speaker answers.

    Args:
        cut_s: the caller begins this turn when so much of the answer before has sounded; None
            waits for its end.
        pause_s: silence after that end.
        tool: function calls (name, arguments) that come before the answer.
        typed: the words are typed, not spoken.
        plants: what is planted in the answer.
        deaf: the speaker ignores the corrections in its context this time.
    """

    caller: str
    answer: str
    cut_s: float | None = None
    pause_s: float = 0.8
    tool: tuple[tuple[str, Json], ...] = ()
    twice: bool = False
    typed: bool = False
    plants: tuple[Plant, ...] = ()
    deaf: bool = False
    backchannel: bool = False
    fault: Fault = ""


@dataclass(frozen=True)
class Call:
    """One scripted call. ``poison``: the word that an order in what comes from outside wants said.

    ``context``: what the client's ``session_start`` says of the caller. ``result``: what the
    invoice service answers instead of the sample's invoice. ``actions_wanted``: path of the
    service -> how often it is to be asked.
    """

    name: str
    kind: Kind
    turns: tuple[Turn, ...]
    poison: str = ""
    result: Json | None = None
    with_brain: bool = True
    actions_wanted: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
