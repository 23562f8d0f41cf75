"""What a caller sends while there is no worker: kept in order, for the worker to take. Pure."""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

MAX_AUDIO_MS = 60_000
"""Of the caller's audio; beyond it the oldest goes."""
PRE_ROLL_MS = 1_000
"""Kept of the silence before the first speech: onsets are noticed late."""
MAX_EVENTS = 256
"""Other than audio; beyond it an event is refused by name."""


class KeptEvents:
    """Bounded queue of a session's client events, from its start until a worker takes them."""

    def __init__(self) -> None:
        self._events: list[tuple[Json, float]] = []
        self._audio_ms = 0.0
        self._others = 0
        self._has_speech = False
        self.lost_ms = 0.0
        """Audio that was let go: so much later the worker's audio clock begins."""

    def keep_audio(self, event: Json, audio_ms: float, *, is_speech: bool) -> None:
        """``is_speech`` for audio of which nothing after it may be let go as mere silence."""
        self._has_speech = self._has_speech or is_speech
        self._events.append((event, audio_ms))
        self._audio_ms += audio_ms
        limit_ms = MAX_AUDIO_MS if self._has_speech else PRE_ROLL_MS
        while self._audio_ms > limit_ms:
            oldest = next(at for at, (_, ms) in enumerate(self._events) if ms)
            self._let_go(self._events.pop(oldest)[1])

    def keep(self, event: Json) -> bool:
        """Keep an event that is not audio; False when there are too many.

        Of the answers asked for only the newest is kept: it will answer everything before it.
        """
        if event["type"] == "response.create":
            self._drop("response.create")
        if self._others >= MAX_EVENTS:
            return False
        self._others += 1
        self._events.append((event, 0.0))
        return True

    def pop(self) -> Json | None:
        """The oldest event; None when there is none."""
        if not self._events:
            return None
        event, audio_ms = self._events.pop(0)
        self._audio_ms -= audio_ms
        self._others -= not audio_ms
        return event

    def forget_words(self) -> None:
        """Drop all that the caller said and asked for; settings stay."""
        self._let_go(self._audio_ms)
        self._events = [kept for kept in self._events if kept[0]["type"] == "session.update"]
        self._others = len(self._events)

    def _let_go(self, audio_ms: float) -> None:
        self._audio_ms -= audio_ms
        self.lost_ms += audio_ms

    def _drop(self, kind: str) -> None:
        kept = [each for each in self._events if each[0]["type"] != kind]
        self._others -= len(self._events) - len(kept)
        self._events = kept
