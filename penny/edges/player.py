"""What a caller hears, frame by frame: the queue of Penny's audio and the clock it is played on.

Every edge that plays raw audio (a socket, a phone line) drives one Player. It is pure: the time
comes in as ``now_s`` and frames come out when they are due, so an hour of call is a test of
milliseconds. Frames leave on absolute deadlines, ``lead_ms`` ahead of the moment they are to be
heard; after an underrun the clock starts again at the frame that ends it.

Invariant for each item: heard <= sent <= queued.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.audio.framing import Framer
from penny.turns.heard import HeardText


FRAME_MS = 20
GRAIN_S = 0.0005
"""What is due within half a millisecond is due: the loop's clock and timers count whole ones, and
a moment that rounding moved behind the clock would be asked for again until the next."""
LATE_S = 0.02
"""A frame later than this is an underrun; less is a timer's jitter and keeps the schedule."""


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """The frames that follow belong to this item."""

    item_id: str
    response_id: str


class Frame(NamedTuple):
    """20 ms of audio in the caller's format (the last of an item may be shorter)."""

    data: bytes
    item_id: str
    audio_ms: float


@dataclass(frozen=True, slots=True)
class ItemSent:
    """All audio of this item has left."""

    item_id: str
    response_id: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ItemHeard:
    """The caller heard this item to its end."""

    item_id: str
    heard_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """An item the caller interrupted; ``heard_ms`` 0 means none of it was heard."""

    item_id: str
    response_id: str
    content_index: int
    heard_ms: int
    heard_text: str
    cut_text: str

    def as_event(self) -> dict[str, Any]:
        """The Realtime client event that cuts the item's history to what was heard.

        Nothing heard means the item goes: a truncation to 0 is refused by some servers.
        """
        if self.heard_ms == 0:
            return {"type": "conversation.item.delete", "item_id": self.item_id}
        return {
            "type": "conversation.item.truncate",
            "item_id": self.item_id,
            "content_index": self.content_index,
            "audio_end_ms": self.heard_ms,
        }


Due = ItemStarted | Frame | ItemSent | ItemHeard


@dataclass(slots=True)
class _Item:
    """An item of spoken output: what is queued of it, what was sent and what was heard."""

    item_id: str
    response_id: str
    content_index: int
    text: HeardText = field(default_factory=HeardText)
    framer: Framer | None = None
    frames: deque[bytes] = field(default_factory=deque)
    queued_ms: float = 0.0
    placed_ms: float = 0.0
    """Queued audio that ``text`` knows of."""
    sent_ms: float = 0.0
    anchors: list[tuple[float, float]] = field(default_factory=list)
    """(moment the audio at ``ms`` is heard, ms): a new one after every underrun."""
    report: tuple[float, float] | None = None
    """(moment, played_ms) as the caller's side last reported."""
    started: bool = False
    finished: bool = False
    announced: bool = False

    def heard_ms(self, now_s: float) -> float:
        if self.report is not None:
            at_s, played_ms = self.report
            return min(self.sent_ms, played_ms + (now_s - at_s) * 1000)
        heard = 0.0
        for index, (at_s, from_ms) in enumerate(self.anchors):
            if at_s > now_s:
                break
            last = index + 1 == len(self.anchors)
            until_ms = self.sent_ms if last else self.anchors[index + 1][1]
            heard = min(until_ms, from_ms + (now_s - at_s) * 1000)
        return heard

    @property
    def words(self) -> HeardText:
        """``text``, once it knows of all queued audio: told now and then, not for every piece."""
        self.text.audio(self.queued_ms - self.placed_ms)
        self.placed_ms = self.queued_ms
        return self.text

    @property
    def ends_at_s(self) -> float:
        """When the last sent millisecond is heard, by our own clock."""
        if not self.anchors:
            return 0.0
        at_s, from_ms = self.anchors[-1]
        return at_s + (self.sent_ms - from_ms) / 1000


class Player:
    """Queue, pacing and memory of what was heard.

    Args:
        output: the caller's audio format.
        lead_ms: how far ahead of being heard a frame is sent (the caller's jitter buffer).
        limit_ms: most audio that may wait; what exceeds it is refused by ``queue_audio``.
    """

    HOLD_S = 1.0
    """A hold is decided within a second; then playback goes on by itself."""
    REPORT_GRACE_S = 2.0
    """A caller's side that reports playback gets this long after the estimated end of an item to
    report its last position; then the estimate is taken."""

    def __init__(self, output: AudioFormat, *, lead_ms: int, limit_ms: int) -> None:
        self._output = output
        self._converter = None if output == PCM24K else Converter(PCM24K, output)
        self._lead_s = lead_ms / 1000
        self._limit_ms = limit_ms
        self._waiting: deque[_Item] = deque()
        self._sounding: deque[_Item] = deque()
        self._items: dict[str, _Item] = {}
        self._filling: _Item | None = None
        """The item whose audio the converter was given last."""
        self._head_at_s = 0.0
        self._held_until_s = 0.0
        self._reports = False
        self.sent_total_ms = 0.0

    # -- filling ------------------------------------------------------------------------------

    def queue_text(self, item_id: str, response_id: str, content_index: int, delta: str) -> None:
        """Words whose audio follows (or, from some speakers, precedes)."""
        self._item(item_id, response_id, content_index).words.text(delta)

    def queue_audio(
        self, item_id: str, response_id: str, content_index: int, pcm24k: bytes
    ) -> bool:
        """Queue audio of an item; False when too much waits already and it was refused."""
        item = self._items.get(item_id) or self._item(item_id, response_id, content_index)
        if item.finished:
            return True
        audio_ms = waiting_ms = len(pcm24k) / PCM24K.bytes_per_ms
        for waiting in self._waiting:
            waiting_ms += waiting.queued_ms - waiting.sent_ms
        if waiting_ms > self._limit_ms:
            return False
        if item.framer is None:
            item.framer = Framer(self._output.bytes_of(FRAME_MS))
            self._waiting.append(item)
        self._filling = item
        audio = pcm24k if self._converter is None else self._converter.process(pcm24k)
        item.frames.extend(item.framer.feed(audio))
        item.queued_ms += audio_ms
        return True

    def finish(self, item_id: str) -> None:
        """No more audio of this item comes; the rest of its last frame may go."""
        item = self._items.get(item_id)
        if item is None or item.finished:
            return
        item.finished = True
        if item.framer is None:
            del self._items[item_id]
        else:
            self._flush_filter(item, item.framer)
            rest = item.framer.drain()
            rest = rest[: len(rest) - len(rest) % self._output.sample_bytes]
            if rest:
                item.frames.append(rest)

    def _flush_filter(self, item: _Item, framer: Framer) -> None:
        """What the rate conversion still holds of the last word: 1.5 ms at 8 000 Hz."""
        if self._converter is not None and item is self._filling:
            tail = self._converter.flush()
            item.frames.extend(framer.feed(tail))
            item.queued_ms += len(tail) / self._output.bytes_per_ms

    def report(self, item_id: str, played_ms: int, now_s: float, *, ended: bool = False) -> None:
        """Take the caller's side's own word for what was played of an item."""
        self._reports = True
        item = self._items.get(item_id)
        if item is None:
            return
        played = min(float(played_ms), item.sent_ms)
        item.report = (now_s, played)
        if ended and item in self._sounding and played >= item.sent_ms - FRAME_MS:
            item.report = (now_s - 3600.0, item.sent_ms)

    def estimate(self) -> None:
        """The caller's side reports no more: from now on what was sent in time was heard."""
        self._reports = False

    def resend(self, item_id: str, audio_ms: float, now_s: float) -> None:
        """Audio of an item that was sent and never arrived leaves once more, all at once.

        ``audio_ms`` is how much; it is heard after whatever was resent before it.
        """
        item = self._items.get(item_id)
        if item is None or (item not in self._waiting and item not in self._sounding):
            return  # interrupted meanwhile: the client drops what it gets of it
        item.anchors.append((self._head_at_s, max(0.0, item.sent_ms - audio_ms)))
        item.report = None
        self._head_at_s = max(self._head_at_s, now_s) + audio_ms / 1000

    def start_again(self, now_s: float) -> None:
        """The caller is back: what is resent or sent from now on is heard from ``now_s`` on."""
        self._head_at_s = now_s

    # -- playing ------------------------------------------------------------------------------

    def hold(self, now_s: float) -> None:
        """Let nothing leave until ``resume``, ``interrupt`` or ``HOLD_S`` have passed."""
        self._held_until_s = now_s + self.HOLD_S

    def resume(self) -> None:
        """Go on where it was held."""
        self._held_until_s = 0.0

    def is_playing(self, now_s: float) -> bool:
        """Whether the caller hears, or is about to hear, Penny."""
        return bool(self._waiting) or any(not self._is_over(i, now_s) for i in self._sounding)

    def position(self, now_s: float) -> tuple[str, float] | None:
        """The item that sounds, or did last, and how many milliseconds of it were heard."""
        for item in (*self._sounding, *self._waiting):
            if item.started:
                return item.item_id, item.heard_ms(now_s)
        return None

    def heard_words(self, now_s: float) -> str:
        """The words heard by now of the items that sound and are not over."""
        heard = (i.words.heard(i.heard_ms(now_s)) for i in (*self._sounding, *self._waiting))
        return " ".join(filter(None, heard))

    def next_due_s(self, now_s: float) -> float | None:
        """When ``due`` has something again; None when nothing is queued or sounding."""
        due_s: float | None = None
        if self._waiting and (self._waiting[0].frames or self._waiting[0].finished):
            due_s = max(now_s, self._head_at_s - self._lead_s, self._held_until_s)
        for item in self._sounding:
            over_s = self._over_at_s(item)
            if due_s is None or over_s < due_s:
                due_s = over_s
        return due_s

    def due(self, now_s: float) -> list[Due]:
        """Take everything that is to leave or to be noted by ``now_s``."""
        out: list[Due] = []
        while self._waiting and now_s >= self._held_until_s:
            item = self._waiting[0]
            while item.frames and self._head_at_s - self._lead_s <= now_s + GRAIN_S:
                self._send_frame(item, now_s, out)
            if item.frames or not item.finished:
                break
            self._waiting.popleft()
            self._sounding.append(item)
            out.append(ItemSent(item.item_id, item.response_id, round(item.sent_ms)))
        while self._sounding and self._is_over(self._sounding[0], now_s):
            item = self._sounding.popleft()
            del self._items[item.item_id]
            out.append(ItemHeard(item.item_id, round(item.sent_ms), item.words.spoken))
        return out

    def interrupt(self, now_s: float) -> list[Cut]:
        """Forget everything that was not heard yet; tell what was, item by item."""
        cuts = []
        for item in (*self._sounding, *self._waiting):
            heard_ms = round(item.heard_ms(now_s))
            cuts.append(
                Cut(
                    item.item_id,
                    item.response_id,
                    item.content_index,
                    heard_ms,
                    item.words.heard(heard_ms),
                    item.words.cut(heard_ms),
                )
            )
            if item.finished:
                del self._items[item.item_id]
            else:
                # It stays known, so that deltas still under way are not played, until its
                # response ends; what was not heard of it is memory.
                item.finished = True
                item.frames.clear()
        self._sounding.clear()
        self._waiting.clear()
        self._held_until_s = 0.0
        self._head_at_s = now_s
        return cuts

    def forget(self, item_id: str) -> None:
        """Drop what is known of an item that is neither queued nor sounding."""
        item = self._items.get(item_id)
        if item is not None and item not in self._waiting and item not in self._sounding:
            del self._items[item_id]

    # -- inside -------------------------------------------------------------------------------

    def _item(self, item_id: str, response_id: str, content_index: int) -> _Item:
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item(item_id, response_id, content_index)
        return item

    def _send_frame(self, item: _Item, now_s: float, out: list[Due]) -> None:
        if not item.started:
            item.started = True
            out.append(ItemStarted(item.item_id, item.response_id))
        underrun = now_s - self._head_at_s > LATE_S
        if underrun:
            self._head_at_s = now_s
        if underrun or not item.anchors:
            item.anchors.append((self._head_at_s, item.sent_ms))
        data = item.frames.popleft()
        audio_ms = len(data) / self._output.bytes_per_ms
        item.sent_ms += audio_ms
        self.sent_total_ms += audio_ms
        self._head_at_s += audio_ms / 1000
        out.append(Frame(data, item.item_id, audio_ms))

    def _over_at_s(self, item: _Item) -> float:
        if item.report is None:
            return item.ends_at_s + (self.REPORT_GRACE_S if self._reports else 0.0)
        at_s, played_ms = item.report
        estimated = at_s + (item.sent_ms - played_ms) / 1000
        return min(estimated, item.ends_at_s + self.REPORT_GRACE_S)

    def _is_over(self, item: _Item, now_s: float) -> bool:
        return now_s + GRAIN_S >= self._over_at_s(item)
