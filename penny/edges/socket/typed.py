"""The wish for an answer to what a caller typed. Pure."""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

ALREADY_ACTIVE = "conversation_already_has_active_response"
MAX_REFUSALS = 5
"""Times an answer is wished for again before its refusal is told."""


class TypedWish:
    """The newest wish: it is replied to, or wished for again.

    An older one needs no answer of its own, as the newest one's context holds its words.
    """

    def __init__(self) -> None:
        self._event: Json = {}
        self._refusals = 0

    def begin(self, event_id: str, response: Json | None = None) -> Json:
        """The Realtime event of a new wish; ``response`` is the event's, where it has one."""
        self._event = {"type": "response.create", "event_id": event_id}
        self._refusals = 0
        if response is not None:
            self._event["response"] = response
        return dict(self._event)

    def again(self, fault: Json) -> Json | None:
        """The wish once more where this error refused it; None where another did, or too often."""
        if not self.is_refused(fault) or self._refusals >= MAX_REFUSALS:
            return None
        self._refusals += 1
        return dict(self._event)

    def is_refused(self, fault: Json) -> bool:
        """Whether this error is the refusal of it: a response had begun unknown to this side."""
        is_ours = bool(self._event) and fault.get("event_id") == self._event["event_id"]
        return is_ours and fault.get("code") == ALREADY_ACTIVE
