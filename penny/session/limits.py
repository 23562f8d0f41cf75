"""Ends a session at its limits: told ahead, and never within a word. An observer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from penny.session.observers import Observer
from penny.session.session import SessionLimits, SessionState


Json = dict[str, Any]

GRACE_S = 30.0
"""At a limit what is being said is said to its end; after this the session itself ends."""
TOLD_AHEAD_S = {"time_limit": 60.0, "idle": 30.0}
"""How long before its end a session is told so; at most a fifth of the limit."""
LOOK_EVERY_S = 0.25
_MESSAGES = {
    "time_limit": "the session reaches its longest duration in {} s",
    "idle": "without speech or text the session ends in {} s",
}


class Ending(Protocol):
    """What is needed of a session."""

    state: SessionState

    def tell_caller(self, event: Json) -> None: ...
    def end(self, reason: str) -> None: ...


class LimitWatch(Observer):
    """Warns of a session's limits (``ending_soon``) and ends it in a moment of silence.

    Args:
        limits: its ``grace_s`` is the session's own affair.
        left_s: seconds until what was sent to the caller is played, by loop time.
    """

    listens_to = (
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "response.created",
        "response.done",
    )

    def __init__(
        self, session: Ending, limits: SessionLimits, left_s: Callable[[float], float]
    ) -> None:
        self._session = session
        self._limits = {"time_limit": limits.max_s, "idle": limits.idle_s}
        self._left_s = left_s
        self._loop = asyncio.get_running_loop()
        self._is_heard = False
        self._answering: set[str] = set()
        self._told_for_s: dict[str, float] = {}
        """The end that was announced, by reason: it moves when something is said."""
        self._timer = self._loop.call_later(0.0, self._look)

    def speaker_event(self, event: Json, at_s: float) -> None:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._is_heard = True
            case "input_audio_buffer.speech_stopped":
                self._is_heard = False
            case "response.created":
                self._answering.add(event["response"]["id"])
            case "response.done":
                self._answering.discard(event["response"]["id"])

    def ended(self, reason: str, at_s: float) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now_s = self._loop.time()
        next_s = now_s + min(self._limits.values())
        for reason, ends_s in self._ends():
            ahead_s = min(TOLD_AHEAD_S[reason], self._limits[reason] / 5)
            if now_s >= ends_s:
                if self._is_quiet(now_s):
                    self._session.end(reason)
                    return
                next_s = now_s + LOOK_EVERY_S
            elif now_s >= ends_s - ahead_s:
                self._tell(reason, ends_s, now_s)
                next_s = min(next_s, ends_s)
            else:
                next_s = min(next_s, ends_s - ahead_s)
        self._timer = self._loop.call_at(max(next_s, now_s + 0.01), self._look)

    def _ends(self) -> list[tuple[str, float]]:
        state = self._session.state
        return [
            ("time_limit", state.started_s + self._limits["time_limit"]),
            ("idle", state.last_activity_s + self._limits["idle"]),
        ]

    def _is_quiet(self, now_s: float) -> bool:
        return not self._is_heard and not self._answering and self._left_s(now_s) <= 0

    def _tell(self, reason: str, ends_s: float, now_s: float) -> None:
        if self._told_for_s.get(reason) == ends_s:
            return
        self._told_for_s[reason] = ends_s
        message = _MESSAGES[reason].format(round(ends_s - now_s))
        self._session.tell_caller(
            {"type": "penny.warning", "code": "ending_soon", "message": message}
        )
