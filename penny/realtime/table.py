"""The lifecycle of a session, a response, an item and the input buffer, as tables.

Every rule about what may happen when is here: an event without an entry in a state is refused
there. What refusing means is the caller's business: a client event gets an error, a report of the
engine is dropped (it lost a race).
"""

from __future__ import annotations

from typing import ClassVar


class Table:
    """States by name, each with the events that it takes and the state that follows."""

    def __init__(self, **rows: dict[str, str]) -> None:
        self.rows = rows
        self.events = frozenset(event for row in rows.values() for event in row)

    def advance(self, state: str, event: str) -> str | None:
        """Return the next state, or None when ``event`` is refused in ``state``.

        Raises:
            KeyError: there is no such state or event, which is a bug.
        """
        if event not in self.events:
            raise KeyError(event)
        return self.rows[state].get(event)


class Staged:
    """Base of what goes through the states of a ``table``."""

    __slots__ = ("state",)
    table: ClassVar[Table]
    state: str

    def apply(self, event: str) -> bool:
        """Move along the table; False when ``event`` has no place now."""
        following = self.table.advance(self.state, event)
        if following is None:
            return False
        self.state = following
        return True


SESSION = Table(
    new={"open": "open"},
    open={"receive": "open", "report": "open", "expire": "closed"},
    closed={},
)

_RESPONSE_ENDS = {
    "finish": "completed",
    "cut_short": "incomplete",
    "cancel": "cancelled",
    "fail": "failed",
}
RESPONSE = Table(
    # Announced by response.created; nothing of the answer is known yet.
    created={"content": "streaming", **_RESPONSE_ENDS},
    streaming={"content": "streaming", **_RESPONSE_ENDS},
    completed={},
    incomplete={},
    cancelled={},
    failed={},
)

ITEM = Table(
    in_progress={
        "finish": "completed",
        "interrupt": "incomplete",
        # Cut while it is still being said: the caller's position is known, the words go on.
        "truncate": "in_progress",
        "transcript": "in_progress",
        "delete": "deleted",
    },
    # OpenAI leaves the status of a truncated item alone.
    completed={"truncate": "completed", "transcript": "completed", "delete": "deleted"},
    incomplete={"truncate": "incomplete", "transcript": "incomplete", "delete": "deleted"},
    # Deleted while a response writes it: its events still close on the wire.
    deleted={"finish": "deleted", "interrupt": "deleted"},
)

INPUT_BUFFER = Table(
    empty={
        "append": "holding",
        "clear": "empty",
        # The engine may confirm an onset whose audio lies before a commit.
        "speech_started": "speaking",
        "idle_timeout": "empty",
        "vad_disabled": "empty",
    },
    holding={
        "append": "holding",
        "clear": "empty",
        "commit": "empty",
        "speech_started": "speaking",
        "idle_timeout": "empty",
        "vad_disabled": "holding",
    },
    speaking={
        "append": "speaking",
        "clear": "empty",
        "commit": "empty",
        "speech_stopped": "empty",
        "vad_disabled": "holding",
    },
)
