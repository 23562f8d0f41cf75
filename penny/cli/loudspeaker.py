"""The caller's loudspeaker as arithmetic: what of the received audio was heard by when.

Pure: time comes in as milliseconds since the session began, and audio plays in real time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field


_LONGEST_AHEAD_S = 600


@dataclass(frozen=True, slots=True)
class Report:
    """What to tell Penny of an item: the ``playback`` message."""

    item_id: str
    played_ms: int
    ended: bool


@dataclass(slots=True)
class _Item:
    """Audio of one item, and how far it was played."""

    item_id: str
    audio: bytearray = field(default_factory=bytearray)
    played_bytes: int = 0
    complete: bool = False
    reported_ms: int = -1
    started_at_ms: float | None = None

    @property
    def pending_bytes(self) -> int:
        return len(self.audio) - self.played_bytes


class Loudspeaker:
    """Plays items one after the other, in real time, without a device.

    It holds a whole call's audio: its caller bounds the call.

    Args:
        rate_hz: sample rate of the mono PCM16 that arrives.
        report_ms: how much playback passes between two reports of an item.
    """

    def __init__(self, rate_hz: int, report_ms: int = 100) -> None:
        self.rate_hz = rate_hz
        self.timeline = bytearray()
        """All that came out of the loudspeaker since the session began, silence included."""
        self._report_ms = report_ms
        self._items: dict[str, _Item] = {}
        self._queue: deque[_Item] = deque()

    @property
    def busy(self) -> bool:
        """Whether an item is playing, or announced and not yet complete."""
        return bool(self._queue)

    def begin(self, item_id: str) -> None:
        if item_id not in self._items:
            self._items[item_id] = item = _Item(item_id)
            self._queue.append(item)

    def feed(self, pcm: bytes) -> None:
        """Take audio of the item begun last.

        Dropped is audio that no item announced, and what an item brings beyond ten minutes ahead
        of its playback.
        """
        if not self._queue or self._queue[-1].complete:
            return
        item = self._queue[-1]
        if item.pending_bytes <= _LONGEST_AHEAD_S * self.rate_hz * 2:
            item.audio += pcm

    def finish(self, item_id: str) -> None:
        """No more audio of this item follows."""
        if item_id in self._items:
            self._items[item_id].complete = True

    def drop(self) -> list[Report]:
        """Throw away all that was not played; return the last report of what was begun."""
        reports = [self._end(item) for item in self._queue]
        self._queue.clear()
        return reports

    def advance(self, now_ms: float) -> list[Report]:
        """Play up to ``now_ms``; return the reports that are due."""
        target = int(now_ms * self.rate_hz / 1000) * 2
        reports = self._retire()
        while len(self.timeline) < target:
            room = target - len(self.timeline)
            if not self._queue or not self._queue[0].pending_bytes:
                self.timeline += bytes(room)
                break
            item = self._queue[0]
            if item.started_at_ms is None:
                item.started_at_ms = len(self.timeline) / 2 * 1000 / self.rate_hz
            end = item.played_bytes + min(room, item.pending_bytes)
            self.timeline += item.audio[item.played_bytes : end]
            item.played_bytes = end
            reports += self._retire()
        if self._queue and self._is_due(self._queue[0]):
            reports.append(self._report(self._queue[0], ended=False))
        return reports

    def started_at_ms(self, item_ids: Collection[str]) -> float | None:
        """When the first of these items was first heard."""
        starts = [self._items[item_id].started_at_ms for item_id in item_ids if self.has(item_id)]
        return min((start for start in starts if start is not None), default=None)

    def heard(self, item_ids: Collection[str] | None = None) -> bytes:
        """The audio of these items (of all by default) that was played."""
        return b"".join(
            bytes(item.audio[: item.played_bytes])
            for item in self._items.values()
            if item_ids is None or item.item_id in item_ids
        )

    def has(self, item_id: str) -> bool:
        return item_id in self._items

    def _retire(self) -> list[Report]:
        """End the items in front that have nothing left to play."""
        reports = []
        while self._queue and not self._queue[0].pending_bytes:
            # An item that another one follows gets no more audio, announced or not.
            if not self._queue[0].complete and len(self._queue) == 1:
                break
            reports.append(self._end(self._queue.popleft()))
        return reports

    def _end(self, item: _Item) -> Report:
        item.complete = True
        return self._report(item, ended=True)

    def _is_due(self, item: _Item) -> bool:
        return item.played_bytes > 0 and (
            self._played_ms(item) - max(item.reported_ms, 0) >= self._report_ms
        )

    def _report(self, item: _Item, *, ended: bool) -> Report:
        item.reported_ms = self._played_ms(item)
        return Report(item.item_id, item.reported_ms, ended)

    def _played_ms(self, item: _Item) -> int:
        return item.played_bytes * 1000 // (2 * self.rate_hz)
