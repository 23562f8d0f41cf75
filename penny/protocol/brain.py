"""What works behind the speaker: folios, corrections, tools, handing over to a person."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .message import ItemId, Json, Milliseconds, Part, ServerEvent, TurnId, Usd


ToolStatus = Literal["started", "completed", "failed", "refused"]


class Folio(Part):
    """The brain's context update, in the specification's words."""

    timestamp: str
    """When the brain wrote it: ISO 8601, UTC."""
    user_intent: str
    """What the caller wants."""
    relevant_data: Json = {}
    """Facts for the answer, by name."""
    suggested_response_elements: list[str] = []
    """What the answer should contain."""
    tone_guidance: str = ""
    """How it should sound."""
    warnings: list[str] = []
    """What to keep in mind, or not to say."""


class Passage(Part):
    """A piece of the knowledge base that stands behind a folio or an answer."""

    id: str
    """Stable id of the passage."""
    source: str
    """Where it comes from: file or record, within its collection."""
    title: str = ""
    """Heading path."""
    text: str = ""
    """The passage, possibly shortened."""
    score: float | None = None
    """How well it answers, 0 to 1; null when the index does not say."""


class ContextUpdate(ServerEvent):
    """A folio is in force: the speaker's next answer knows it."""

    type: Literal["context_update"] = "context_update"
    context_update: Folio
    """The folio."""
    turn_id: TurnId | None = None
    """The turn it was made from; null before the first."""
    revision: Annotated[int, Field(ge=0)] = 0
    """Counts up with each change of the speaker's context."""
    placement: str | None = None
    """Where it was placed in the speaker's context, e.g. ``instructions`` or ``system_item``."""
    passages: list[Passage] = []
    """What it rests on."""
    latency_ms: Milliseconds | None = None
    """From the end of the turn to this folio being in force."""
    usd: Usd | None = None
    """What this analysis and its placement cost, in US dollars."""


class Sources(ServerEvent):
    """What an answer of a private session rests on; after its ``response_done``. An answer that
    rests on nothing in the documents has none."""

    type: Literal["sources"] = "sources"
    turn_id: TurnId | None = None
    """The turn that was answered; null when unknown."""
    item_id: ItemId | None = None
    """Penny's item."""
    passages: list[Passage] = []
    """The passages, the likeliest first."""


class Correction(ServerEvent):
    """The speaker said something wrong; it has been told to put it right."""

    type: Literal["correction"] = "correction"
    correction_needed: bool = True
    """As the specification has it."""
    correction_type: str
    """Kind of mistake, e.g. ``factual_error``."""
    what_gpt_said: str
    """The words at fault."""
    correct_info: str
    """What holds."""
    inject_correction: bool = True
    """Whether the speaker was told."""
    turn_id: TurnId | None = None
    """The turn in which it was said; null when unknown."""
    item_id: ItemId | None = None
    """Penny's item at fault; null when unknown."""
    revision: Annotated[int, Field(ge=0)] = 0
    """Revision of the speaker's context that carries it."""


class ToolCall(ServerEvent):
    """An action is taken in the caller's name; sent again on each change of status."""

    type: Literal["tool_call"] = "tool_call"
    call_id: str
    """Names this call."""
    name: str
    """The action."""
    status: ToolStatus
    """Where it stands."""
    turn_id: TurnId | None = None
    """The turn that asked for it; null when unknown."""
    arguments: Json | None = None
    """What it was called with; null when not shown to clients."""
    result: Json | None = None
    """What came of it; null until completed, or when not shown to clients."""
    message: str | None = None
    """Why it failed or was refused; null otherwise."""


class Handoff(ServerEvent):
    """The conversation goes to a person."""

    type: Literal["handoff"] = "handoff"
    summary: str
    """What the person should know."""
    reason: str | None = None
    """Why; null when the caller simply asked."""
    destination: str | None = None
    """Where it goes: a queue or a number, as configured; null when not shown to clients."""
    details: Json = {}
    """Further facts by name; may be empty."""
