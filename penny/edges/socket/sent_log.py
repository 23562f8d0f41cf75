"""What was sent to a client, so that one who comes back gets exactly what it missed. Pure.

The client counts every message since ``session_started``, which is number 1, text and binary
alike; a WebSocket keeps their order, so one number says where its stream broke off. Audio that
the client reports as played is forgotten, and audio is bounded in bytes: the oldest goes first
and is counted. Texts are bounded in number and in bytes: a client that misses one that is gone
cannot resume, since no event may be lost in silence.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from penny.edges.player import Frame


MAX_TEXTS = 2_048
MAX_TEXT_BYTES = 4 * 1024 * 1024


class Sent(NamedTuple):
    """One message. ``frame`` is the audio of binary ones."""

    number: int
    data: str | bytes
    frame: Frame | None = None


class SentLog:
    """The newest messages of one session, by number.

    Args:
        max_audio_bytes: kept of the audio; 0 keeps none.
    """

    def __init__(self, max_audio_bytes: int) -> None:
        self._max_audio_bytes = max_audio_bytes
        self._texts: deque[tuple[int, str]] = deque()
        self._frames: deque[tuple[int, Frame, float]] = deque()
        """Number, frame, and the position in its item that it reaches."""
        self._audio_bytes = 0
        self._text_bytes = 0
        self._item_id = ""
        self._item_ms = 0.0
        self._oldest_text = 1
        self.count = 0
        self.dropped_frames = 0

    def add_text(self, text: str) -> None:
        self.count += 1
        self._texts.append((self.count, text))
        self._text_bytes += len(text)
        while len(self._texts) > MAX_TEXTS or self._text_bytes > MAX_TEXT_BYTES:
            number, oldest = self._texts.popleft()
            self._text_bytes -= len(oldest)
            self._oldest_text = number + 1

    def add_audio(self, frame: Frame) -> None:
        self.count += 1
        data, item_id, audio_ms = frame
        if item_id != self._item_id:
            self._item_id, self._item_ms = item_id, 0.0
        self._item_ms += audio_ms
        self._frames.append((self.count, frame, self._item_ms))
        self._audio_bytes += len(data)
        while self._audio_bytes > self._max_audio_bytes:
            self._audio_bytes -= len(self._frames.popleft()[1].data)
            self.dropped_frames += 1

    def forget_played(self, item_id: str, played_ms: float) -> None:
        """What a client has played of an item it has received, and everything before it."""
        played = 0
        for place, (_, frame, until_ms) in enumerate(self._frames, 1):
            if frame.item_id == item_id:
                if until_ms > played_ms:
                    break
                played = place
        for _ in range(played):
            self._audio_bytes -= len(self._frames.popleft()[1].data)

    def since(self, received: int) -> list[Sent] | None:
        """What came after ``received`` messages, in order; None when texts of it are gone."""
        if not self._oldest_text - 1 <= received <= self.count:
            return None
        missed = [Sent(number, text) for number, text in self._texts if number > received]
        missed += [
            Sent(number, frame.data, frame)
            for number, frame, _ in self._frames
            if number > received
        ]
        return sorted(missed, key=lambda sent: sent.number)
