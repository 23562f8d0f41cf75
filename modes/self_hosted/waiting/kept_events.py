"""What a caller sends while there is no worker: kept in order, for the worker to take. Pure.

Where turns are found by ear, silence is thinned: a second before and after speech is kept, the
rest is not worth hearing. ``true_ms`` maps what the worker hears back to the caller's own time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Any

from penny.ids import new_id


Json = dict[str, Any]

MAX_AUDIO_MS = 60_000
"""Of the caller's speech; beyond it the oldest audio goes."""
MAX_EVENTS = 256
"""Other than audio; beyond it an event is refused by name."""
AROUND_SPEECH_MS = 1_000
"""Silence kept before and after speech: onsets are noticed late, and turns end in silence."""


@dataclass(slots=True)
class _Kept:
    event: Json
    from_ms: float = 0.0
    audio_ms: float = 0.0


class KeptEvents:
    """One session's, from its start to the worker's arrival."""

    def __init__(self) -> None:
        self._events: deque[_Kept] = deque()
        self._pre_roll: deque[_Kept] = deque()
        self._arrived_ms = self._audio_ms = 0.0
        self._pre_roll_ms = 0.0
        self._after_speech_ms = float("inf")
        self.lost_ms = 0.0
        """Speech that was too much to keep."""

    def keep_audio(self, event: Json, audio_ms: float, *, worth_it: bool) -> None:
        """``worth_it``: it is speech, or turns are the client's own business."""
        kept = _Kept(event, self._arrived_ms, audio_ms)
        self._arrived_ms += audio_ms
        self._after_speech_ms = 0.0 if worth_it else self._after_speech_ms + audio_ms
        if not worth_it and self._after_speech_ms > AROUND_SPEECH_MS:
            self._roll(kept)
            return
        self._flush_pre_roll()
        self._add(kept)

    def keep(self, event: Json) -> bool:
        """Keep an event that is not audio; False when there are too many."""
        if sum(1 for kept in self._events if not kept.audio_ms) >= MAX_EVENTS:
            return False
        self._flush_pre_roll()
        if event["type"] == "response.create" and not event.get("event_id"):
            event = {**event, "event_id": new_id("wait")}
        self._events.append(_Kept(event))
        return True

    def forget_words(self) -> None:
        """What the caller said is not for whoever comes; settings stay."""
        self._pre_roll.clear()
        self._pre_roll_ms = self._audio_ms = 0.0
        settings = [kept for kept in self._events if kept.event["type"] == "session.update"]
        self._events = deque(settings)

    def take(self) -> tuple[list[Json], TrueTime]:
        """Everything in order, and where its audio stood in the caller's time."""
        self._flush_pre_roll()
        events = [kept.event for kept in self._events]
        starts, heard_ms = [], 0.0
        for kept in self._events:
            if kept.audio_ms:
                starts.append((heard_ms, kept.from_ms))
                heard_ms += kept.audio_ms
        starts.append((heard_ms, self._arrived_ms))
        self._events.clear()
        self._audio_ms = 0.0
        return events, TrueTime(starts)

    def _roll(self, kept: _Kept) -> None:
        self._pre_roll.append(kept)
        self._pre_roll_ms += kept.audio_ms
        while self._pre_roll_ms > AROUND_SPEECH_MS and len(self._pre_roll) > 1:
            self._pre_roll_ms -= self._pre_roll.popleft().audio_ms

    def _flush_pre_roll(self) -> None:
        for kept in self._pre_roll:
            self._add(kept)
        self._pre_roll.clear()
        self._pre_roll_ms = 0.0

    def _add(self, kept: _Kept) -> None:
        self._events.append(kept)
        self._audio_ms += kept.audio_ms
        while self._audio_ms > MAX_AUDIO_MS:
            oldest = next(kept for kept in self._events if kept.audio_ms)
            self._events.remove(oldest)
            self._audio_ms -= oldest.audio_ms
            self.lost_ms += oldest.audio_ms


_POSITIONS = ("audio_start_ms", "audio_end_ms", "speech_end_ms", "decided_ms")


class TrueTime:
    """From the worker's audio clock to the caller's."""

    def __init__(self, starts: list[tuple[float, float]]) -> None:
        """``starts``: (worker's ms, caller's ms) where a piece of audio begins, in order."""
        self._heard_ms = [heard for heard, _ in starts]
        self._true_ms = [true for _, true in starts]

    def restore(self, event: Json) -> Json:
        """The event with the caller's own positions."""
        told = {name: event[name] for name in _POSITIONS if isinstance(event.get(name), int)}
        if not told or event["type"].startswith("conversation."):
            return event
        return {**event, **{name: self._at(position) for name, position in told.items()}}

    def _at(self, heard_ms: int) -> int:
        index = max(0, bisect_right(self._heard_ms, heard_ms) - 1)
        return round(self._true_ms[index] + heard_ms - self._heard_ms[index])
