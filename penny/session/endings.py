"""Observers that end a session in a moment of silence: at its limits, and after a hand-off."""

from __future__ import annotations

import asyncio

from penny.session.observers import Json, Observer
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder


GOODBYE_WITHIN_S = 12.0
"""A speaker that says no goodbye: the person who takes over does not wait for longer."""
HEARD_AFTER_S = 0.5
"""What edge and network hold back of the audio that has passed here."""
MAX_TAIL_S = 30.0
GRACE_S = 30.0
"""At a limit what is being said is said to its end; after this the session itself ends."""
TOLD_AHEAD_S = {"time_limit": 60.0, "idle": 30.0}
"""How long before its end a session is told so; at most a fifth of the limit."""
LOOK_EVERY_S = 0.25
_MESSAGES = {
    "time_limit": "the session reaches its longest duration in {} s",
    "idle": "without speech or text the session ends in {} s",
}


class HandoffEnd(Observer):
    """Observer that ends a session handed to a person once its goodbye was heard: the first
    response after the hand-off, or the one that the hand-off names."""

    listens_to = ("penny.handoff", "response.created", "response.done")

    def __init__(self, session: Session, turns: TurnRecorder) -> None:
        self._session = session
        self._turns = turns
        self._handed_over = False
        self._goodbye_id = ""
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
            self._end_in(min(self._turns.left_s(at_s), MAX_TAIL_S) + HEARD_AFTER_S)

    def ended(self, reason: str, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._session.end, "handoff")


class LimitWatch(Observer):
    """Observer that warns of a session's limits (``ending_soon``) and ends it in a moment of
    silence, ``grace_s`` after a limit at the latest."""

    listens_to = (
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "response.created",
        "response.done",
    )

    def __init__(self, session: Session, turns: TurnRecorder) -> None:
        self._session = session
        self._turns = turns
        self._limits = {"time_limit": session.limits.max_s, "idle": session.limits.idle_s}
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
        now_s, state = self._loop.time(), self._session.state
        next_s = now_s + min(self._limits.values())
        begun_s = {"time_limit": state.started_s, "idle": state.last_activity_s}
        for reason, limit_s in self._limits.items():
            ends_s = begun_s[reason] + limit_s
            tells_s = ends_s - min(TOLD_AHEAD_S[reason], limit_s / 5)
            if now_s >= ends_s:
                if self._is_quiet(now_s) or now_s >= ends_s + self._session.limits.grace_s:
                    self._session.end(reason)
                    return
                next_s = now_s + LOOK_EVERY_S
            elif now_s >= tells_s:
                self._tell(reason, ends_s, now_s)
                next_s = min(next_s, ends_s)
            else:
                next_s = min(next_s, tells_s)
        self._timer = self._loop.call_at(max(next_s, now_s + 0.01), self._look)

    def _is_quiet(self, now_s: float) -> bool:
        return not self._is_heard and not self._answering and self._turns.left_s(now_s) <= 0

    def _tell(self, reason: str, ends_s: float, now_s: float) -> None:
        if self._told_for_s.get(reason) == ends_s:
            return
        self._told_for_s[reason] = ends_s
        message = _MESSAGES[reason].format(round(ends_s - now_s))
        self._session.tell_caller(
            {"type": "penny.warning", "code": "ending_soon", "message": message}
        )
