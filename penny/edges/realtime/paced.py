"""A client's long events, in pieces and one after the other, so that other calls are heard between.

An append of minutes goes on as many short ones, and an item with its audio is asked for when the
one before it was answered: each answer is written, read and written again, in one step each time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


Json = dict[str, Any]
PassOn = Callable[[Json], None]

PIECE_CHARS = 65_536
"""Of base64, whole groups of four: a second of audio at 24 kHz."""
PIECE_S = 1 / 128
"""Between two pieces: a minute of audio takes half a second."""

RETRIEVE, DELETE = "conversation.item.retrieve", "conversation.item.delete"
ANSWERED_WITHIN_S = 2.0
"""Then the next item is asked for, whatever became of the one before."""
ANSWER_BYTES_PER_S = 4_000_000
MOST_WAITING = 64


class Retrieves:
    """Passes one ``conversation.item.retrieve`` on at a time, and rests after a long answer.

    A deletion that comes after one that waits waits behind it.
    """

    def __init__(self, pass_on: PassOn) -> None:
        self._pass_on = pass_on
        self._waiting: deque[Json] = deque()
        self._resting: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING

    def take(self, event: Json) -> None:
        """Pass on an event of either type, now or later."""
        must_wait = self._waiting or event["type"] == RETRIEVE
        if self._resting is not None and must_wait:
            self._waiting.append(event)
        else:
            self._hand_on(event)

    def answered(self, size_bytes: int) -> None:
        """The one that was passed on has its answer, or an error, of that size."""
        if self._resting is not None:
            self._rest(size_bytes / ANSWER_BYTES_PER_S)

    def close(self) -> None:
        """Pass nothing more on."""
        self._waiting.clear()
        if self._resting is not None:
            self._resting.cancel()

    def _hand_on(self, event: Json) -> None:
        if event["type"] == RETRIEVE:
            self._rest(ANSWERED_WITHIN_S)
        self._pass_on(event)

    def _rest(self, seconds: float) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.get_running_loop().call_later(seconds, self._next)

    def _next(self) -> None:
        self._resting = None
        while self._waiting and self._resting is None:
            self._hand_on(self._waiting.popleft())


class LongAppend:
    """The audio of one ``input_audio_buffer.append`` that is passed on in pieces.

    Args:
        done: told when the last piece was passed on.
    """

    def __init__(self, event: Json, pass_on: PassOn, done: Callable[[], None]) -> None:
        self._event, self._pass_on, self._done = event, pass_on, done
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None

    def go_on(self) -> None:
        """Pass on a piece now, and the others in time. Idempotent."""
        if self._timer is None:
            self._next()

    def stop(self) -> None:
        """Pass nothing on until ``go_on``."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        audio = self._event["audio"]
        piece = audio[self._at : self._at + PIECE_CHARS]
        self._at += PIECE_CHARS
        self._timer = asyncio.get_running_loop().call_later(PIECE_S, self._next)
        if self._at >= len(audio):
            self.stop()
        self._pass_on({**self._event, "audio": piece})
        if self._at >= len(audio):
            self._done()
