"""What one call plays on its wire, and how much of it the caller has heard. Pure but for the wire.

Frames go out as slots come; marks behind them tell what was played. A mark carries the generation
of what it follows: an interruption begins the next one, and a mark of an earlier generation that
still comes back, as carriers return all that were pending when they are told to clear, counts for
nothing: it says that audio is gone, not that it was heard.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from penny.edges.playback import Playback
from penny.edges.player import FRAME_MS, Cut, Frame, ItemHeard, ItemSent
from penny.edges.telephone.echo import Echo
from penny.edges.telephone.hold import HoldMusic
from penny.edges.telephone.wire import Wire


Json = dict[str, Any]

FRAME_S = FRAME_MS / 1000
DRY_S = 2 * FRAME_S
"""Silence flows once the far side has no more than this: more of it would delay each next answer
by the lead."""
MARK_EVERY_MS = 200
"""Between two marks the position is told by the clock."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark that was sent: after so much of which item."""

    name: str
    item_id: str
    sent_ms: float
    ends: bool


class Playout:
    """Plays the answers of one call."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.echo = Echo(wire.format.rate_hz)
        self._frame_bytes = wire.format.bytes_of(FRAME_MS)
        self._silence = wire.format.from_pcm16(bytes(2 * wire.format.rate_hz * FRAME_MS // 1000))
        self.playback = Playback(wire.format, lead_ms=wire.lead_ms)
        self._player = self.playback.player
        self.generation = 0
        self._marks: deque[_Mark] = deque()
        self._sent_ms: dict[str, float] = {}
        """Of items whose last mark is not sent."""
        self._marked_ms = 0.0
        self._dry_at_s = 0.0
        """When the far side has played all that was sent."""
        self._is_filling = False
        """Whether the last that was sent is silence of ours."""
        self.hold: HoldMusic | None = None
        """What fills the line while the caller waits."""
        self._number = 0
        self._is_told = False
        """Whether the far side returns marks at all."""
        self._words = ""
        """Of the item that was heard to its end last."""
        self.stale_marks = 0
        """Marks that came back for audio that had been dropped."""

    def is_playing(self, now_s: float) -> bool:
        """Whether the caller hears, or is about to hear, an answer."""
        return self._player.is_playing(now_s)

    def position(self, now_s: float) -> float:
        """Milliseconds of the sounding item that were heard; 0 where none sounds."""
        found = self._player.position(now_s)
        if found is None:
            return 0.0
        item_id, heard_ms = found
        pending = self._marks[0] if self._marks and self._is_told else None
        # What lies behind a mark that has not come back was not heard, whatever the clock says.
        if pending is not None and pending.item_id == item_id:
            return min(heard_ms, pending.sent_ms)
        return heard_ms

    def heard_words(self, now_s: float) -> str:
        """The words of the last items that the caller has heard."""
        return f"{self._words} {self._player.heard_words(now_s)}"

    def play(self, slot_s: float) -> None:
        """Send what this slot is due; silence where there is nothing and the wire needs it."""
        is_silent = not self.send_due(slot_s)
        needs = self._wire.needs_audio or self.hold is not None
        if is_silent and needs and self._dry_at_s - slot_s < DRY_S:
            self._is_filling = True
            self._send(self._silence if self.hold is None else self.hold.frame(), slot_s)

    def send_due(self, now_s: float) -> bool:
        """Send what may leave by now; False where that is no sound."""
        has_sound = False
        for due in self._player.due(now_s):
            match due:
                case Frame(data=data, item_id=item_id, audio_ms=audio_ms):
                    has_sound = True
                    self._drop_silence(now_s)
                    self._send(data + self._silence[len(data) : self._frame_bytes], now_s)
                    self._note_sent(item_id, audio_ms)
                case ItemSent(item_id=item_id):
                    self._mark(item_id, self._sent_ms.pop(item_id, 0.0), ends=True)
                case ItemHeard(text=text):
                    self._words = text
                case _:
                    pass
        return has_sound

    def _drop_silence(self, now_s: float) -> None:
        """An answer does not wait for the silence that is queued before it: nothing else is, once
        every mark has come back."""
        is_queued = self._is_filling and self._wire.lead_ms and self._dry_at_s > now_s
        self._is_filling = False
        if is_queued and not self._marks:
            self._wire.flush()
            self._dry_at_s = 0.0
            self.echo.drop(now_s)

    def _send(self, frame: bytes, slot_s: float) -> None:
        heard_s = max(self._dry_at_s, slot_s)
        self._dry_at_s = heard_s + FRAME_S
        if not self._is_filling:
            self.echo.play(self._wire.format.to_pcm16(frame), heard_s)
        self._wire.play(frame)

    def marked(self, name: str, now_s: float) -> None:
        """A mark came back."""
        if name.partition(".")[0] != str(self.generation):
            self.stale_marks += 1
            return
        if all(mark.name != name for mark in self._marks):
            return
        self._is_told = True
        while (mark := self._marks.popleft()).name != name:
            pass
        self._player.report(mark.item_id, round(mark.sent_ms), now_s, ended=mark.ends)

    def flush(self, now_s: float) -> list[Cut]:
        """Drop all that was not heard, here and on the far side; what was heard of each item."""
        self._settle(now_s)
        return self._dropped(self.playback.interrupt(now_s), now_s)

    def take(self, event: Json, now_s: float) -> list[Cut]:
        """Take an event of the session's; what it cut, where it interrupted."""
        if event["type"] == "input_audio_buffer.speech_started":
            self._settle(now_s)
        cuts = self.playback.take(event, now_s)
        return [] if cuts is None else self._dropped(cuts, now_s)

    def _dropped(self, cuts: list[Cut], now_s: float) -> list[Cut]:
        """The next generation begins."""
        if cuts:
            self.generation += 1
            self._marks.clear()
            self._sent_ms.clear()
            self._wire.flush()
            self._dry_at_s = 0.0
            self.echo.drop(now_s)
        return cuts

    def _settle(self, now_s: float) -> None:
        """Hold the clock's estimate to what the marks allow, before it is cut by."""
        found = self._player.position(now_s)
        if found is not None and (heard_ms := self.position(now_s)) < found[1]:
            self._player.report(found[0], int(heard_ms), now_s)

    def _note_sent(self, item_id: str, audio_ms: float) -> None:
        before = self._sent_ms.get(item_id)
        sent_ms = self._sent_ms[item_id] = (before or 0.0) + audio_ms
        # The first frame's tells how soon it was heard.
        if before is None or sent_ms - self._marked_ms >= MARK_EVERY_MS:
            self._mark(item_id, sent_ms)

    def _mark(self, item_id: str, sent_ms: float, *, ends: bool = False) -> None:
        self._marked_ms = sent_ms
        if self._wire.tells_played:
            self._number += 1
            name = f"{self.generation}.{self._number}"
            self._marks.append(_Mark(name, item_id, sent_ms, ends))
            self._wire.mark(name)
