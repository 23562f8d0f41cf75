"""The conversation as the caller knows it: who said what, in order, and what of it was heard. Pure.

The edge tells by truncations what an interruption cut; until then playback is estimated from the
moment audio arrived, one item after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from brain.analysis import Exchange
from penny.turns.heard import HeardText


Json = dict[str, Any]
Role = Literal["user", "assistant", "system", "call", "output", "aside", "other"]
"""``aside``: said outside the conversation, by a response of its own."""

PLAYBACK_DELAY_S = 0.25
"""What an edge holds back before audio is heard: its lead and the network."""
KEPT_ITEMS = 600
_SEEDED: dict[Role, tuple[str, ...]] = {
    "call": ("id", "type", "call_id", "name", "arguments"),
    "output": ("id", "type", "call_id", "output"),
}
_SERVER_ONLY = frozenset({"object", "status"})


@dataclass(slots=True)
class ConversationItem:
    """One item of the conversation. ``is_hidden``: a call of one of Penny's own tools or its
    output: the caller's side sees neither; ``is_known_as_text``: the present upstream was seeded
    with it; ``from_ms``, ``until_ms``: where a user's audio lies on the kept audio's scale."""

    id: str
    role: Role
    turn: int
    raw: Json
    words: str = ""
    is_final: bool = False
    is_hidden: bool = False
    is_known_as_text: bool = False
    spoken: HeardText = field(default_factory=HeardText)
    audio_ms: float = 0.0
    starts_s: float = 0.0
    cut_ms: float | None = None
    from_ms: float = 0.0
    until_ms: float = 0.0

    @property
    def ends_s(self) -> float:
        """When the audio that is known has been heard, or was cut."""
        return self.starts_s + (0.0 if self.cut_ms is not None else self.audio_ms / 1000)

    def heard(self, now_s: float) -> str:
        """The words that were heard until ``now_s``."""
        if not self.audio_ms:
            return self.words or self.spoken.spoken
        played_ms = min(self.audio_ms, max(0.0, (now_s - self.starts_s) * 1000))
        return self.spoken.heard(played_ms if self.cut_ms is None else self.cut_ms)

    @property
    def text(self) -> str:
        """As generated, or as typed."""
        return self.spoken.spoken or self.words

    def seed(self, now_s: float) -> Json | None:
        """The item for another upstream, as GA JSON; None for what it cannot be told.

        What was cut is left out; what still sounds will be heard (if not, a truncation comes).
        """
        names = _SEEDED.get(self.role)
        if names is not None:
            whole = self.raw.get("status") not in ("in_progress", "incomplete")
            return {n: self.raw[n] for n in names if self.raw.get(n) is not None} if whole else None
        if self.role == "aside":
            return None
        if self.role == "other":
            return {name: value for name, value in self.raw.items() if name not in _SERVER_ONLY}
        kind, text = "input_text", self.words
        given = [part for part in self.raw.get("content") or () if _is_given(part)]
        if self.role == "assistant":
            kind, given = "output_text", []
            text = self.text if self.cut_ms is None else self.heard(now_s)
        if not given and not text.strip():
            return None
        content = given or [{"type": kind, "text": text}]
        shown = {"id": self.id, "type": "message", "role": self.role, "content": content}
        phase = self.raw.get("phase")
        return shown if phase is None else {**shown, "phase": phase}


def _is_given(part: Json) -> bool:
    """Whether a part of a message carries its content; heard audio only has a transcript."""
    return bool(part.get("text") or part.get("audio") or part.get("image_url"))


class Conversation:
    """Bounded: of very long calls the newest items are kept."""

    def __init__(self) -> None:
        self._items: dict[str, ConversationItem] = {}
        self._order: list[str] = []
        self.sounds_until_s = 0.0
        self.turn = 0

    def add(self, raw: Json, after: str | None = None) -> ConversationItem:
        """Take an item in, once; ``after`` is the item before it, "root", or None for the end."""
        known = self._items.get(raw["id"])
        if known is not None:
            if raw.get("status") != "in_progress" or not known.raw:
                content = known.raw.get("content") or raw.get("content")
                known.raw = {**raw, "content": content} if content else raw
            return known
        kinds: dict[str, Role] = {"function_call": "call", "function_call_output": "output"}
        role = kinds.get(raw["type"], "other")
        if raw["type"] == "message":
            role = raw["role"] if raw.get("role") in ("user", "assistant") else "system"
        item = self._insert(raw["id"], role, raw, after)
        texts = [part.get("text") or part.get("transcript") for part in raw.get("content") or ()]
        item.words = " ".join(text for text in texts if text)
        item.is_final = bool(item.words)
        return item

    def begin_turn(self, item_id: str) -> ConversationItem:
        """The caller's spoken item, from its first word on."""
        return self._items.get(item_id) or self._insert(item_id, "user", {}, None)

    def continue_turn(self, old_id: str, item_id: str) -> None:
        """The same speech, heard again by another upstream: its turn, under a new id."""
        old = self._items.get(old_id)
        if old is not None and item_id not in self._items:
            self.delete(old_id)
            self._insert(item_id, "user", {}, None).turn = old.turn
            self.turn -= 1

    def delete(self, item_id: str) -> None:
        if self._items.pop(item_id, None) is not None:
            self._order.remove(item_id)

    def get(self, item_id: str) -> ConversationItem | None:
        return self._items.get(item_id)

    def is_hidden(self, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is not None and item.is_hidden

    def visible_before(self, item_id: str) -> str | None:
        """The nearest item before this one that the caller's side knows; of an unknown the last."""
        end = self._order.index(item_id) if item_id in self._items else len(self._order)
        before = (self._items[each] for each in reversed(self._order[:end]))
        return next((i.id for i in before if not i.is_hidden and i.role != "aside"), None)

    def find_call(self, call_id: str) -> ConversationItem | None:
        """The function call of that id."""
        calls = (item for item in reversed(self._items.values()) if item.role == "call")
        return next((item for item in calls if item.raw.get("call_id") == call_id), None)

    def add_audio(self, item_id: str, audio_ms: float, now_s: float) -> None:
        item = self.reply(item_id)
        if not item.audio_ms:
            item.starts_s = max(now_s + PLAYBACK_DELAY_S, self.sounds_until_s)
        item.audio_ms += audio_ms
        item.spoken.audio(audio_ms)
        self.sounds_until_s = max(item.starts_s + item.audio_ms / 1000, self.sounds_until_s)

    def cut(self, item_id: str, heard_ms: float, now_s: float) -> None:
        """The edge says how much of an item was heard."""
        item = self._items.get(item_id)
        if item is not None:
            item.cut_ms = heard_ms
            self.sounds_until_s = now_s

    def reply(self, item_id: str) -> ConversationItem:
        """The speaker's item of that id, begun if it is new."""
        return self._items.get(item_id) or self._insert(item_id, "assistant", {}, None)

    def newest_turn_id(self) -> str:
        """The caller's newest item; '' before the first."""
        return next((i for i in reversed(self._order) if self._items[i].role == "user"), "")

    def words_of(self, turn: int) -> str:
        items = self._of(turn, "user")
        return " ".join(item.words for item in items if item.words)

    def reply_of(self, turn: int, now_s: float) -> str:
        """What was heard of the replies of a turn."""
        texts = [item.heard(now_s) for item in self._of(turn, "assistant")]
        return " ".join(text for text in texts if text)

    def exchanges(self, now_s: float, until: int | None = None) -> tuple[Exchange, ...]:
        """Every turn before ``until`` (by default the newest), with what was heard of the reply."""
        end = self.turn if until is None else until
        turns = sorted(turn for turn in {i.turn for i in self._items.values()} if turn < end)
        return tuple(
            Exchange(turn, self.words_of(turn), self.reply_of(turn, now_s)) for turn in turns
        )

    def seed(self, now_s: float) -> list[Json]:
        """The conversation as GA items with their ids, all of it, in order."""
        items = [each for i in self._order if (each := self._items[i].seed(now_s)) is not None]
        called = {raw["call_id"] for raw in items if raw["type"] == "function_call"}
        return [r for r in items if r["type"] != "function_call_output" or r["call_id"] in called]

    def mark_seeded(self) -> None:
        """From now on the upstream knows these items as text only."""
        for item in self._items.values():
            item.is_known_as_text = True

    def _of(self, turn: int, role: Role) -> list[ConversationItem]:
        items = map(self._items.__getitem__, self._order)
        return [item for item in items if item.role == role and item.turn == turn]

    def _insert(self, item_id: str, role: Role, raw: Json, after: str | None) -> ConversationItem:
        self.turn += role == "user"
        at = len(self._order)
        if after == "root":
            at = 0
        elif after in self._items:
            at = self._order.index(after) + 1
        self._order.insert(at, item_id)
        item = self._items[item_id] = ConversationItem(item_id, role, self.turn, raw)
        if len(self._order) > KEPT_ITEMS:
            del self._items[self._order.pop(0)]
        return item
