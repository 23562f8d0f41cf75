"""The conversation as the caller knows it: who said what, and what of it was heard. Pure.

The edge tells by truncations what an interruption cut; until then playback is estimated from the
moment audio arrived, one item after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from brain.analysis import Exchange
from penny.turns.heard import HeardText


Json = dict[str, Any]

PLAYBACK_DELAY_S = 0.25
"""What an edge holds back before audio is heard: its lead and the network."""
KEPT_ITEMS = 600
SEED_ITEMS = 120
"""Newest items that seed a new upstream: about an hour of talk as text."""


@dataclass(slots=True)
class MirrorItem:
    id: str
    role: Literal["user", "assistant", "system", "tool"]
    turn: int
    raw: Json
    words: str = ""
    is_final: bool = False
    spoken: HeardText = field(default_factory=HeardText)
    audio_ms: float = 0.0
    starts_s: float = 0.0
    cut_ms: float | None = None
    from_ms: float = 0.0
    """User items: where their audio begins and ends on the kept audio's scale."""
    until_ms: float = 0.0
    is_seeded: bool = False

    def heard_ms(self, now_s: float) -> float:
        if self.cut_ms is not None:
            return self.cut_ms
        return min(self.audio_ms, max(0.0, (now_s - self.starts_s) * 1000))

    @property
    def ends_s(self) -> float:
        """When the audio that is known has been heard, or was cut."""
        return self.starts_s + (0.0 if self.cut_ms is not None else self.audio_ms / 1000)

    def told(self, now_s: float) -> str:
        """What a new upstream is told of it: what was cut is not; what still sounds will be heard
        (and if not, a truncation comes and is told too)."""
        return self.heard(now_s) if self.cut_ms is not None else self.spoken.spoken or self.words

    def heard(self, now_s: float) -> str:
        if self.audio_ms:
            return self.spoken.heard(self.heard_ms(now_s))
        return self.words or self.spoken.spoken


class ConversationMirror:
    """Bounded: of very long calls the newest items are kept."""

    def __init__(self) -> None:
        self._items: dict[str, MirrorItem] = {}
        self._sounds_until_s = 0.0
        self.turn = 0

    # -- the caller ---------------------------------------------------------------------------

    def begin_turn(self, item_id: str, raw: Json | None = None) -> int:
        """A user's item: a turn of its own, once."""
        known = self._items.get(item_id)
        if known is not None:
            return known.turn
        self.turn += 1
        item = self._add(item_id, "user", raw or {})
        if raw is not None:
            texts = [part.get("text") or "" for part in raw.get("content") or ()]
            item.words = " ".join(text for text in texts if text)
            item.is_final = bool(item.words)
        return self.turn

    def newest_turn_id(self) -> str:
        """The caller's newest item; '' before the first."""
        return next((i for i in reversed(self._items) if self._items[i].role == "user"), "")

    def continue_turn(self, old_id: str, item_id: str) -> None:
        """The same speech, heard again by another upstream: its turn, under a new id."""
        old = self._items.pop(old_id, None)
        if old is not None and item_id not in self._items:
            self._add(item_id, "user", {}).turn = old.turn

    def add_words(self, item_id: str, delta: str) -> str:
        item = self._items.get(item_id)
        if item is None:
            return ""
        item.words += delta
        return item.words

    def set_words(self, item_id: str, text: str) -> MirrorItem | None:
        item = self._items.get(item_id)
        if item is not None:
            item.words, item.is_final = text, True
        return item

    # -- Penny --------------------------------------------------------------------------------

    def item_added(self, raw: Json) -> None:
        """Any item of the conversation."""
        item_id = raw["id"]
        if raw.get("role") == "user":
            self.begin_turn(item_id, raw)
        elif item_id in self._items:
            self._items[item_id].raw = raw
        elif raw["type"] == "message":
            self._add(item_id, "assistant" if raw["role"] == "assistant" else "system", raw)
        else:
            self._add(item_id, "tool", raw)

    def remember(self, raw: Json) -> None:
        """An item of before this call (another mode's conversation): known as text."""
        self.item_added(raw)
        item = self._items[raw["id"]]
        texts = [part.get("text") or part.get("transcript") for part in raw.get("content") or ()]
        item.words = " ".join(text for text in texts if text)
        item.is_final = item.is_seeded = True

    def item_done(self, raw: Json) -> None:
        item = self._items.get(raw["id"])
        if item is not None:
            item.raw = raw

    def add_spoken(self, item_id: str, delta: str) -> None:
        self._penny(item_id).spoken.text(delta)

    def add_written(self, item_id: str, delta: str) -> None:
        self._penny(item_id).words += delta

    def add_audio(self, item_id: str, audio_ms: float, now_s: float) -> None:
        item = self._penny(item_id)
        if not item.audio_ms:
            item.starts_s = max(now_s + PLAYBACK_DELAY_S, self._sounds_until_s)
        item.audio_ms += audio_ms
        item.spoken.audio(audio_ms)
        self._sounds_until_s = max(item.starts_s + item.audio_ms / 1000, self._sounds_until_s)

    def cut(self, item_id: str, heard_ms: float, now_s: float) -> None:
        """The edge says how much of an item was heard."""
        item = self._items.get(item_id)
        if item is not None:
            item.cut_ms = heard_ms
            self._sounds_until_s = now_s

    def delete(self, item_id: str) -> None:
        self._items.pop(item_id, None)

    # -- asked --------------------------------------------------------------------------------

    def get(self, item_id: str) -> MirrorItem | None:
        return self._items.get(item_id)

    def is_sounding(self, now_s: float) -> bool:
        return now_s < self._sounds_until_s

    @property
    def sounds_until_s(self) -> float:
        return self._sounds_until_s

    def words_of(self, turn: int) -> str:
        said = [i.words for i in self._items.values() if i.role == "user" and i.turn == turn]
        return " ".join(word for word in said if word)

    def reply_of(self, turn: int, now_s: float) -> str:
        said = [
            item.heard(now_s)
            for item in self._items.values()
            if item.role == "assistant" and item.turn == turn
        ]
        return " ".join(text for text in said if text)

    def exchanges(self, now_s: float) -> tuple[Exchange, ...]:
        """Every finished turn (all but the newest), with what was heard of the reply."""
        turns = sorted({item.turn for item in self._items.values()} - {self.turn})
        return tuple(
            Exchange(turn, self.words_of(turn), self.reply_of(turn, now_s)) for turn in turns
        )

    def seed(self, now_s: float) -> list[Json]:
        """The conversation as GA items with their ids; what was cut is left out."""
        items = []
        for item in self._items.values():
            raw = _as_seed(item, now_s)
            if raw is not None:
                items.append(raw)
        items = items[-SEED_ITEMS:]
        called = {raw["call_id"] for raw in items if raw["type"] == "function_call"}
        return [
            raw
            for raw in items
            if raw["type"] != "function_call_output" or raw["call_id"] in called
        ]

    def mark_seeded(self) -> None:
        """From now on the upstream knows these items as text only."""
        for item in self._items.values():
            item.is_seeded = True

    # -- inside -------------------------------------------------------------------------------

    def _penny(self, item_id: str) -> MirrorItem:
        return self._items.get(item_id) or self._add(item_id, "assistant", {})

    def _add(
        self, item_id: str, role: Literal["user", "assistant", "system", "tool"], raw: Json
    ) -> MirrorItem:
        item = self._items[item_id] = MirrorItem(item_id, role, self.turn, raw)
        if len(self._items) > KEPT_ITEMS:
            del self._items[next(iter(self._items))]
        return item


def _as_seed(item: MirrorItem, now_s: float) -> Json | None:
    if item.role == "tool":
        if item.raw.get("status") in ("in_progress", "incomplete"):
            return None
        wanted = ("id", "type", "call_id", "name", "arguments", "output")
        return {name: item.raw[name] for name in wanted if item.raw.get(name) is not None}
    text = item.told(now_s) if item.role == "assistant" else item.words
    if item.role == "system":
        return None  # the context of the new upstream says it
    if not text.strip():
        return None
    kind = "output_text" if item.role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return {"id": item.id, "type": "message", "role": item.role, "content": content}
