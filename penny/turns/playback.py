"""What the caller hears: audio queued, sent and heard, per item.

``heard <= sent <= queued`` always holds. Until a caller reports its playback, sent audio counts
as heard (it is sent at playback speed); after the first report only reports count.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple


REMEMBERED: Final = 64
"""Items played or interrupted that ``heard_ms`` still answers for; the oldest is dropped first."""


class PlaybackPart(NamedTuple):
    """Where playback of one content part stands. ``heard_ms`` is what a truncation wants."""

    item_id: str
    content_index: int
    heard_ms: int
    generated_ms: int


@dataclass(slots=True)
class _Part:
    item_id: str
    content_index: int
    queued: int = 0
    sent: int = 0
    heard: int = 0


class Playback:
    """One caller's playback of mono PCM16 at ``rate_hz``. Raises ValueError below 1 Hz."""

    def __init__(self, rate_hz: int) -> None:
        if rate_hz < 1:
            raise ValueError(f"rate_hz: {rate_hz} is not a rate; use a positive number")
        self._bytes_per_s = rate_hz * 2
        self._parts: list[_Part] = []
        """Parts in playing order; the last one may still grow."""
        self._past: deque[tuple[str, int]] = deque(maxlen=REMEMBERED)
        """Items heard to the end or interrupted, with the milliseconds heard."""
        self._interrupted: deque[str] = deque(maxlen=REMEMBERED)
        self._reported = False

    def queue(self, item_id: str, content_index: int, n_bytes: int) -> bool:
        """Audio of an item is ready to be sent.

        Returns:
            False when the item was interrupted: this audio came late and must not be played.
        """
        if item_id in self._interrupted:
            return False
        last = self._parts[-1] if self._parts else None
        if last is None or (last.item_id, last.content_index) != (item_id, content_index):
            self._retire()
            last = _Part(item_id, content_index)
            self._parts.append(last)
        last.queued += n_bytes
        return True

    def sent(self, n_bytes: int) -> int:
        """The next ``n_bytes`` of the queue went to the caller.

        Returns:
            The bytes that were queued audio; padding and comfort noise beyond them do not count.
        """
        left = n_bytes
        for part in self._parts:
            step = min(left, part.queued - part.sent)
            part.sent += step
            left -= step
            if not self._reported:
                part.heard = part.sent
        return n_bytes - left

    def report(self, item_id: str, played_ms: float) -> int:
        """The caller has played ``played_ms`` of an item, and so all that came before it.

        Returns:
            Milliseconds now counted as heard. A report beyond what was sent is cut to it, one
            that goes backwards or names an item not being played changes nothing.
        """
        playing = (n for n, part in enumerate(self._parts) if part.item_id == item_id and part.sent)
        first = next(playing, None)
        if first is None:
            return self.heard_ms(item_id)
        if not self._reported:
            self._reported = True
            for part in self._parts[first:]:
                part.heard = 0
        for part in self._parts[:first]:
            part.heard = part.sent
        left = int(max(played_ms, 0) * self._bytes_per_s / 1000)
        for part in self._parts[first:]:
            if part.item_id == item_id:
                part.heard = max(part.heard, min(left, part.sent))
                left -= min(left, part.sent)
        return self.heard_ms(item_id)

    def heard_ms(self, item_id: str) -> int:
        """Milliseconds of the item heard so far, rounded down; 0 for an item never queued."""
        now = sum(part.heard for part in self._parts if part.item_id == item_id)
        return self._ms(now) + sum(ms for past_id, ms in self._past if past_id == item_id)

    def current(self) -> PlaybackPart | None:
        """The part the caller hears now or next; None when all was heard."""
        for part in self._parts:
            if part.heard < part.queued:
                return self._view(part)
        return None

    def interrupt(self) -> list[PlaybackPart]:
        """Stop: forget what waits, and tell every part not heard to its end, in playing order.

        Audio that is queued later for any item known here is refused: an item heard as far as it
        was generated is not in the list (there is nothing to truncate), yet may still grow.
        """
        cut = [self._view(part) for part in self._parts if part.heard < part.queued]
        for part in self._parts:
            self._past.append((part.item_id, self._ms(part.heard)))
        self._interrupted.extend(dict.fromkeys(part.item_id for part in self._parts))
        self._parts.clear()
        return cut

    def _retire(self) -> None:
        """Move parts that were heard to their end out of the way when a new one begins."""
        while self._parts and self._parts[0].heard == self._parts[0].queued:
            part = self._parts.pop(0)
            self._past.append((part.item_id, self._ms(part.heard)))

    def _view(self, part: _Part) -> PlaybackPart:
        heard_ms, generated_ms = self._ms(part.heard), self._ms(part.queued)
        return PlaybackPart(part.item_id, part.content_index, heard_ms, generated_ms)

    def _ms(self, n_bytes: int) -> int:
        return n_bytes * 1000 // self._bytes_per_s
