"""Folios: what the brain writes for the speaker, and what became of it. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


Json = dict[str, Any]
SectionName = Literal["hint", "folio", "facts", "results", "correction"]
"""In the order in which they stand in the speaker's context."""
FolioKind = Literal["silent", "speakable", "correction"]
OutcomeState = Literal["in_force", "used", "gone"]

MAX_DATA_KEYS = 24
MAX_NOTES = 8


class ContextUpdate(BaseModel):
    """The specification's ``context_update`` object; what else a model answers is dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    timestamp: str = ""
    user_intent: str = Field(max_length=500)
    relevant_data: Json = Field(default_factory=dict, max_length=MAX_DATA_KEYS)
    suggested_response_elements: tuple[str, ...] = Field((), max_length=MAX_NOTES)
    tone_guidance: str = Field("", max_length=300)
    warnings: tuple[str, ...] = Field((), max_length=MAX_NOTES)

    def same_advice(self, other: ContextUpdate | None) -> bool:
        """Whether both tell the speaker the same; when they were written does not matter."""
        return other is not None and other == self.model_copy(update={"timestamp": other.timestamp})


class CorrectionNote(BaseModel):
    """The specification's correction object (``body``), with the id of the passage or the call id
    of the action that contradicts what was said (``evidence``), which stays inside."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    correction_needed: bool = True
    correction_type: str = Field("factual_error", max_length=80)
    what_gpt_said: str = Field(max_length=500)
    correct_info: str = Field(max_length=500)
    inject_correction: bool = True
    evidence: str = Field("", max_length=300)

    @field_validator("evidence", mode="before")
    @classmethod
    def _first_of_several(cls, value: object) -> object:
        return str(value[0]) if isinstance(value, list) and value else value or ""

    @property
    def body(self) -> Json:
        return self.model_dump(mode="json", exclude={"evidence"})


@dataclass(frozen=True, slots=True)
class Folio:
    """What the speaker should know now: one section of its declared context.

    ``hint``, ``facts``, ``folio``: the newest replaces the older. ``correction``, ``results``:
    several stand side by side. In force for the answers of turns ``turn`` to
    ``turn + expires_after_turns``.

    Args:
        kind: ``speakable`` is to be said when it is quiet.
        text: the rendered block, foreign words in it quoted; ``body``: the specification's object.
        based_on: the item it was made from (a correction: the speaker's item at fault).
        supersedes: ids of folios, of any section, that this one replaces.
        urgent: placed first, and by the strongest placement that the speaker has.
    """

    id: str
    section: SectionName
    kind: FolioKind
    text: str
    turn: int
    based_on: str = ""
    body: Json = field(default_factory=dict)
    source: str = "claude"
    expires_after_turns: int = 3
    supersedes: tuple[str, ...] = ()
    urgent: bool = False
    usd: float = 0.0
    passages: tuple[Json, ...] = ()
    turn_ended_s: float | None = None
    created_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a folio in the speaker's context: at least one each, exactly one ``gone``.

    Args:
        reason: of ``gone``: superseded, expired, ``withdrawn:<why>``, stale, refused, given_up.
        turn: the newest turn then; of ``used``, the turn that ``response_id`` answers.
        revision: of the speaker's context; counts up with each change.
    """

    folio: Folio
    state: OutcomeState
    reason: str = ""
    at_s: float = 0.0
    turn: int = 0
    placement: str = ""
    revision: int = 0
    response_id: str = ""
