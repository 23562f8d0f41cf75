"""What goes into an analysis and what comes out of it; what a brain is attached to. Plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from brain.folio import ContextUpdate, CorrectionNote, Folio, SectionName
from config.brain import BrainSection, Depth
from penny.errors import PennyError


if TYPE_CHECKING:
    from penny.tracing.trace import Trace


Json = dict[str, Any]
Purpose = Literal["turn", "review"]
"""``turn``: what the caller said; ``review``: what the speaker answered."""


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


class BrainFailure(PennyError):
    """An analysis came to nothing. ``code``: deadline, overloaded, rate_limited, refusal,
    broken_json, truncated, connection, credentials, server_error, budget, breaker_open, no_brain,
    invalid_request (the vendor refuses what we send: our own mistake, which no wait mends).
    """

    code = "brain_failed"
    retryable = True


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished turn: the caller's words and what of the reply was heard."""

    turn: int
    caller: str
    penny: str


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One action that ran, or was refused, in the caller's name."""

    turn: int
    call_id: str
    name: str
    arguments: Json
    status: str
    result: Json | None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage of the knowledge base as the models read it: whole, ``title`` its heading path."""

    id: str
    title: str
    text: str
    fields: Json = field(default_factory=dict)
    score: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """One analysis, complete. ``words``: the caller's, final or so far; ``reply``: of a review,
    what of the speaker's was heard; ``now``: ISO 8601 with offset; ``in_force``: the body of the
    folio that the speaker has; corrections: bodies of those still to be said, and of those said."""

    purpose: Purpose
    turn: int
    item_id: str
    words: str
    language: str
    now: str
    weekday: str = ""
    zone: str = ""
    partial: bool = False
    reply: str = ""
    prompt: str = ""
    history: tuple[Exchange, ...] = ()
    passages: tuple[Excerpt, ...] = ()
    actions: tuple[ActionRecord, ...] = ()
    in_force: Json | None = None
    open_corrections: tuple[Json, ...] = ()
    made_corrections: tuple[Json, ...] = ()
    session: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the brain made of a request. ``queries``: what it wants looked up first."""

    update: ContextUpdate | None
    corrections: tuple[CorrectionNote, ...]
    queries: tuple[str, ...]
    usage: BrainUsage
    took_ms: int = 0


class BrainHost(Protocol):
    """The conversation the brain is attached to."""

    def history(self) -> tuple[Exchange, ...]:
        """Finished turns, with what was heard."""

    def prompt(self) -> str:
        """The speaker's own instructions now, without Penny's rules."""

    def actions(self) -> tuple[ActionRecord, ...]:
        """What ran in the caller's name, with its result; newest last."""

    async def heard(self, item_id: str) -> str:
        """The words of an item that were heard, once its playback ended or was cut; "" if none."""

    async def answered(self) -> None:
        """Wait until every turn that ended has its ``response.create``."""

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        """The section's folios in force or on their way, oldest first."""

    def offer(self, folio: Folio) -> None: ...

    def withdraw(self, folio_id: str, reason: str) -> None:
        """Have a folio leave the speaker's context."""

    def tell(self, event: Json, /) -> None:
        """Pass a ``penny.*`` event on to the session."""

    def note(self, kind: str, **fields: object) -> None:
        """Tell ``penny.note``, which no client sees: it is kept with the call."""


@dataclass(frozen=True, slots=True)
class BrainProfile:
    """What a session asked of its brain. ``ref``: its collection; ``settings``: with the session's
    wishes; ``session``: context, actions."""

    language: str
    ref: str
    depth: Depth
    model: str
    settings: BrainSection
    session: Json = field(default_factory=dict)
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of the speaker that has ended, as ``status`` tells. ``words``: the caller's;
    ``text``: as generated; ``in_force``: ids of folios at its creation; ``earlier``: its messages
    before ``item_id``."""

    item_id: str
    response_id: str
    turn: int
    words: str
    text: str
    status: str
    in_force: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
