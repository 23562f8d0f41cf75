"""Folios: what the brain writes for the speaker, and the life each one leads. Pure.

A folio is stamped with the turn and the item it was made from. It moves through a fixed table of
statuses, and every move is recorded with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


Json = dict[str, Any]
Kind = Literal["silent", "speakable", "instruction", "correction"]
"""``silent`` informs; ``speakable`` is to be said when it is quiet; ``instruction`` binds;
``correction`` puts a spoken mistake right."""
Section = Literal["folio", "facts", "correction", "results"]
"""Where in the speaker's context a folio stands; one of each is in force."""
Status = Literal["queued", "sent", "acknowledged", "active", "expired", "dropped"]
DropReason = Literal[
    "stale", "superseded", "interrupted", "refused", "not_heard", "upstream_replaced", "expired"
]

LIFECYCLE: dict[Status, frozenset[Status]] = {
    "queued": frozenset({"sent", "dropped"}),
    "sent": frozenset({"acknowledged", "dropped", "queued"}),
    "acknowledged": frozenset({"active", "expired", "dropped", "queued"}),
    "active": frozenset({"expired", "dropped", "queued"}),
    "expired": frozenset(),
    "dropped": frozenset(),
}
"""Status -> those that may follow. Back to ``queued`` goes what a replaced upstream forgot."""


class ContextUpdate(BaseModel):
    """The specification's ``context_update`` object (section 3.5)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    timestamp: str = ""
    user_intent: str = Field(max_length=500)
    relevant_data: Json = Field(default_factory=dict)
    suggested_response_elements: tuple[str, ...] = ()
    tone_guidance: str = Field(default="", max_length=300)
    warnings: tuple[str, ...] = ()

    def same_advice(self, other: ContextUpdate | None) -> bool:
        """Whether both tell the speaker the same; when they were written does not matter."""
        if other is None:
            return False
        return self.model_copy(update={"timestamp": ""}) == other.model_copy(
            update={"timestamp": ""}
        )


class CorrectionNote(BaseModel):
    """The specification's correction object (section 3.6)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    correction_needed: bool = True
    correction_type: str = Field(default="factual_error", max_length=80)
    what_gpt_said: str = Field(max_length=500)
    correct_info: str = Field(max_length=500)
    inject_correction: bool = True


class LifecycleError(ValueError):
    """A folio was asked to make a move its table does not have."""


@dataclass(frozen=True, slots=True)
class Move:
    """One recorded step: when (seconds, the loop's clock), from where to where, and why."""

    at_s: float
    before: Status
    after: Status
    reason: str


@dataclass(slots=True)
class Folio:
    """One folio.

    Args:
        turn: number of the caller's turn it was made from; 0 before the first.
        based_on: the item whose words it answers (a correction: the speaker's item at fault).
        text: what the speaker is to read, rendered in the session's language.
        strong: only a rewrite of the instructions will do.
        expires_after_turns: it leaves the speaker's context that many turns after its own.
        epoch: the upstream generation it was made in.
    """

    id: str
    kind: Kind
    turn: int
    based_on: str
    text: str
    body: Json
    source: str = "claude"
    section: Section = "folio"
    strong: bool = False
    expires_after_turns: int = 3
    supersedes: tuple[str, ...] = ()
    epoch: int = 0
    created_s: float = 0.0
    turn_ended_s: float | None = None
    usd: float = 0.0
    passages: tuple[Json, ...] = ()
    status: Status = "queued"
    response_id: str = ""
    revision: int = 0
    placement: str = ""
    history: list[Move] = field(default_factory=list)

    def move(self, status: Status, at_s: float, reason: str = "") -> None:
        """Go on to ``status``. Raises LifecycleError when the table has no such step."""
        if status not in LIFECYCLE[self.status]:
            raise LifecycleError(f"folio {self.id}: {self.status} does not lead to {status}")
        self.history.append(Move(at_s, self.status, status, reason))
        self.status = status

    @property
    def is_over(self) -> bool:
        return not LIFECYCLE[self.status]

    def expired_at(self, turn: int) -> bool:
        """Whether it has outlived its turns when ``turn`` is the newest."""
        return turn - self.turn > self.expires_after_turns
