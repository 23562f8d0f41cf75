"""Ends a session that was handed to a person, once the goodbye has been heard. An observer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from penny.session.observers import Observer


Json = dict[str, Any]

GOODBYE_WITHIN_S = 12.0
"""A speaker that says no goodbye: the person who takes over does not wait for longer."""
HEARD_AFTER_S = 0.5
"""What edge and network hold back of the audio that has passed here."""
MAX_TAIL_S = 30.0


class Ending(Protocol):
    """What is needed of a session."""

    def end(self, reason: str) -> None: ...


CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


class HandoffEnd(Observer):
    """Observer that ends a session after its goodbye: the first response after the hand-off, or
    the one that the hand-off names.

    Args:
        left_s: seconds until what was sent to the caller is played, by loop time.
    """

    listens_to = ("penny.handoff", "response.created", "response.done")

    def __init__(
        self, session: Ending, call_later: CallLater, left_s: Callable[[float], float]
    ) -> None:
        self._session = session
        self._call_later = call_later
        self._handed_over = False
        self._goodbye_id = ""
        self._left_s = left_s
        self._timer: asyncio.TimerHandle | None = None

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if kind == "penny.handoff" and not self._handed_over:
            self._handed_over = True
            self._goodbye_id = event.get("response_id") or ""
            self._end_in(GOODBYE_WITHIN_S)
        elif kind == "response.created" and self._handed_over and not self._goodbye_id:
            self._goodbye_id = event["response"]["id"]
        elif kind == "response.done" and event["response"]["id"] == self._goodbye_id:
            tail_s = min(self._left_s(at_s), MAX_TAIL_S)
            self._end_in(tail_s + HEARD_AFTER_S)

    def ended(self, reason: str, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._call_later(seconds, lambda: self._session.end("handoff"))
