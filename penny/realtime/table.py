"""The lifecycle of a session, a response, an item and the input buffer, as tables.

Every rule about what may happen when is here: ``TABLE[state][event]`` is the next state, or
``REFUSED`` when the event has no place in that state. What refusing means is the caller's
business: a client event gets an error, a report of the engine is dropped (it lost a race).
"""

from __future__ import annotations

from typing import Final


REFUSED: Final = None
Table = dict[str, dict[str, str | None]]

SESSION: Table = {
    "new": {"open": "open", "receive": REFUSED, "report": REFUSED, "expire": REFUSED},
    "open": {"open": REFUSED, "receive": "open", "report": "open", "expire": "closed"},
    "closed": {"open": REFUSED, "receive": REFUSED, "report": REFUSED, "expire": REFUSED},
}

_RESPONSE_ENDED: dict[str, str | None] = {
    "content": REFUSED,
    "finish": REFUSED,
    "cut_short": REFUSED,
    "cancel": REFUSED,
    "fail": REFUSED,
}
RESPONSE: Table = {
    # Announced by response.created; nothing of the answer is known yet.
    "created": {
        "content": "streaming",
        "finish": "completed",
        "cut_short": "incomplete",
        "cancel": "cancelled",
        "fail": "failed",
    },
    "streaming": {
        "content": "streaming",
        "finish": "completed",
        "cut_short": "incomplete",
        "cancel": "cancelled",
        "fail": "failed",
    },
    "completed": dict(_RESPONSE_ENDED),
    "incomplete": dict(_RESPONSE_ENDED),
    "cancelled": dict(_RESPONSE_ENDED),
    "failed": dict(_RESPONSE_ENDED),
}

ITEM: Table = {
    "in_progress": {
        "delta": "in_progress",
        "finish": "completed",
        "interrupt": "incomplete",
        # Cut while it is still being said: the caller's position is known, the words go on.
        "truncate": "in_progress",
        "transcript": "in_progress",
        "delete": "deleted",
    },
    "completed": {
        "delta": REFUSED,
        "finish": REFUSED,
        "interrupt": REFUSED,
        # OpenAI leaves the status of a truncated item alone.
        "truncate": "completed",
        "transcript": "completed",
        "delete": "deleted",
    },
    "incomplete": {
        "delta": REFUSED,
        "finish": REFUSED,
        "interrupt": REFUSED,
        "truncate": "incomplete",
        "transcript": "incomplete",
        "delete": "deleted",
    },
    # Deleted while a response writes it: its events still close on the wire.
    "deleted": {
        "delta": "deleted",
        "finish": "deleted",
        "interrupt": "deleted",
        "truncate": REFUSED,
        "transcript": REFUSED,
        "delete": REFUSED,
    },
}

INPUT_BUFFER: Table = {
    "empty": {
        "append": "holding",
        "clear": "empty",
        "commit": REFUSED,
        # The engine may confirm an onset whose audio lies before a commit.
        "speech_started": "speaking",
        "speech_stopped": REFUSED,
        "idle_timeout": "empty",
        "vad_disabled": "empty",
    },
    "holding": {
        "append": "holding",
        "clear": "empty",
        "commit": "empty",
        "speech_started": "speaking",
        "speech_stopped": REFUSED,
        "idle_timeout": "empty",
        "vad_disabled": "holding",
    },
    "speaking": {
        "append": "speaking",
        "clear": "empty",
        "commit": "empty",
        "speech_started": REFUSED,
        "speech_stopped": "empty",
        "idle_timeout": REFUSED,
        "vad_disabled": "holding",
    },
}


def advance(table: Table, state: str, event: str) -> str | None:
    """Return the next state, or None when ``event`` is refused in ``state``.

    Raises:
        KeyError: the pair is not in the table, which is a bug.
    """
    return table[state][event]
