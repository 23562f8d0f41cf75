"""What goes into an analysis and what comes out of it. Pure data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from brain.folio import ContextUpdate, CorrectionNote
from penny.errors import PennyError


Json = dict[str, Any]
Purpose = Literal["turn", "review"]
"""``turn``: what the caller said; ``review``: what the speaker answered."""


class BrainFailure(PennyError):
    """An analysis came to nothing. ``code``: deadline, overloaded, rate_limited, refusal,
    broken_json, truncated, connection, credentials, server_error, budget, breaker_open."""

    code = "brain_failed"
    retryable = True


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished turn: the caller's words and what of the reply was heard."""

    turn: int
    caller: str
    penny: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage of the knowledge base as the brain sees it."""

    id: str
    title: str
    text: str
    fields: Json = field(default_factory=dict)
    score: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """One analysis, complete: what the journal keeps and ``replay`` runs again.

    ``words``: the caller's, final or so far. ``reply``: for a review, what the speaker said.
    ``now``: wall clock, ISO 8601 with offset, so that "mañana" has a meaning.
    """

    purpose: Purpose
    turn: int
    item_id: str
    words: str
    language: str
    now: str
    partial: bool = False
    reply: str = ""
    history: tuple[Exchange, ...] = ()
    passages: tuple[Excerpt, ...] = ()
    in_force: Json | None = None
    session: Json = field(default_factory=dict)

    def as_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> AnalysisRequest:
        """Raises TypeError and KeyError for a record that is none."""
        fields = dict(data)
        fields["history"] = tuple(Exchange(**each) for each in data.get("history", ()))
        fields["passages"] = tuple(Excerpt(**each) for each in data.get("passages", ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class BrainUsage:
    """Tokens of one call, as the provider counts them: the inputs add up to the whole prompt."""

    model: str = ""
    input_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0

    def as_json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the brain made of a request. ``queries``: what it wants looked up first."""

    update: ContextUpdate | None
    correction: CorrectionNote | None
    queries: tuple[str, ...]
    usage: BrainUsage
    took_ms: int = 0
