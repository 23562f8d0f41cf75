"""Who said what in a call, turn by turn, from the session's events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


Json = dict[str, Any]


@dataclass(slots=True)
class Turn:
    """One turn as its events tell it over the wire.

    ``items`` are Penny's, in order; texts are kept by item so that finals replace deltas.
    """

    turn_id: str
    user_texts: dict[str, str] = field(default_factory=dict)
    penny_texts: dict[str, str] = field(default_factory=dict)
    heard_texts: dict[str, str] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)
    understood: bool | None = None
    input: str = "speech"
    decided: bool = False
    status: str | None = None
    interrupted: bool = False
    latency_ms: Json = field(default_factory=dict)

    @property
    def user(self) -> str:
        return _join(self.user_texts)

    @property
    def penny(self) -> str:
        return _join(self.penny_texts)

    @property
    def heard(self) -> str:
        return _join(self.heard_texts)

    @property
    def answered(self) -> bool:
        return self.status is not None and self.status != "cancelled"

    def summarize(self) -> Json:
        return {
            "user": self.user,
            "penny": self.penny,
            "heard": self.heard,
            "input": self.input,
            "understood": self.understood,
            "interrupted": self.interrupted,
            "status": self.status,
            "latency_ms": self.latency_ms,
        }


class TurnLog:
    """The turns of a call, from the events of its socket; feed it every event in order.

    Fields that are missing are taken as empty, never a failure: what a broken server sent must not
    hide what it did send.
    """

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.errors: list[str] = []
        self.speaking = False
        self.ended: Json | None = None
        self._by_id: dict[str, Turn] = {}

    @property
    def count(self) -> int:
        """Turns of the caller's; ``turn_0``, a greeting, is none."""
        return sum(turn.turn_id != "turn_0" for turn in self.turns)

    @property
    def waiting(self) -> bool:
        """Whether the caller is heard speaking, or a decided turn has no answer yet."""
        return self.speaking or any(turn.decided and turn.status is None for turn in self.turns)

    def answered_since(self, first: int) -> bool:
        """Whether the newest of the turns from number ``first`` on has its answer."""
        return len(self.turns) > first and self.turns[-1].answered

    def items_between(self, first: int, last: int | None = None) -> list[str]:
        """Penny's items in the turns from number ``first`` up to but without ``last``."""
        return [item for turn in self.turns[first:last] for item in turn.items]

    def feed(self, event: Json) -> None:
        kind = str(event.get("type", ""))
        if kind == "error":
            self.errors.append(f"{event.get('code', 'error')}: {event.get('message', '')}")
        elif kind == "session_ended":
            self.ended = event
        elif event.get("turn_id"):
            self._feed_turn(kind, event, self._turn(str(event["turn_id"])))

    def _turn(self, turn_id: str) -> Turn:
        if turn_id not in self._by_id:
            self._by_id[turn_id] = turn = Turn(turn_id)
            self.turns.append(turn)
        return self._by_id[turn_id]

    def _feed_turn(self, kind: str, event: Json, turn: Turn) -> None:
        item_id = str(event.get("item_id") or "")
        match kind:
            case "speech_started":
                self.speaking = True
            case "speech_stopped":
                self.speaking = False
                turn.decided = True
            case "transcript_delta":
                texts = self._texts(turn, event)
                texts[item_id] = texts.get(item_id, "") + str(event.get("delta", ""))
            case "transcript_final":
                self._texts(turn, event)[item_id] = str(event.get("text", ""))
                if event.get("role") == "user":
                    turn.understood = event.get("understood")
                    turn.decided = True
                elif event.get("heard") is not None:
                    turn.heard_texts[item_id] = str(event["heard"])
            case "transcript_heard":
                turn.heard_texts[item_id] = str(event.get("text", ""))
            case "audio_started":
                turn.items.append(item_id)
            case "interruption":
                turn.interrupted = True
                turn.heard_texts[item_id] = str(event.get("heard_text", ""))
            case "response_done":
                turn.status = str(event.get("status", ""))
            case "turn_metrics":
                turn.input = str(event.get("input", turn.input))
                turn.latency_ms = dict(event.get("latency_ms") or {})
                turn.interrupted = turn.interrupted or bool(event.get("interrupted"))

    @staticmethod
    def _texts(turn: Turn, event: Json) -> dict[str, str]:
        return turn.user_texts if event.get("role") == "user" else turn.penny_texts


def _join(texts: dict[str, str]) -> str:
    return " ".join(text.strip() for text in texts.values() if text.strip())
