"""``analysis``: what is found in calls, while they last and after they ended."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from penny.section import Section


IntentName = Literal[
    "account_info",
    "appointment",
    "billing_inquiry",
    "cancellation",
    "complaint",
    "new_service",
    "payment",
    "speak_to_person",
    "technical_support",
    "update_details",
]


class RuleSection(Section):
    """``analysis.rules`` and ``tenants.NAME.analysis.rules``: what must and must not be said."""

    name: str = Field(max_length=64, description="as it is shown")
    by: Literal["penny", "caller"] = Field("penny", description="of whose words")
    required: tuple[str, ...] = Field((), description="phrases of which one must be said")
    forbidden: tuple[str, ...] = Field((), description="phrases of which none may be said")
    within_turns: int | None = Field(
        None, ge=1, description="required in so many first turns; null in any"
    )
    intents: tuple[IntentName, ...] = Field(
        (), description="of calls with these intents alone; [] of every call"
    )


class TenantAnalysisSection(Section):
    """``tenants.NAME.analysis``: what a tenant wants otherwise; null is as ``analysis`` says."""

    rules: tuple[RuleSection, ...] | None = Field(None, description="rules of its calls")
    alert_intents: tuple[IntentName, ...] | None = Field(
        None, description="what its callers want that raises an alert"
    )
    retranscribe: float | None = Field(
        None, ge=0, le=1, description="share of its calls that are heard again"
    )


class AnalysisSection(Section):
    """``analysis``: moods, requests, entities, promises and rules in calls."""

    enabled: bool = Field(False, description="analyse calls after they ended")
    embedded: bool = Field(
        True, description="by a process of this gateway; false leaves it to workers elsewhere"
    )
    live: bool = Field(True, description="hints and alerts while a call lasts")
    vectors: bool = Field(
        True, description="judge by the knowledge base's vectors too, where it has them"
    )
    rules: tuple[RuleSection, ...] = Field((), description="what must and must not be said")
    alert_intents: tuple[IntentName, ...] = Field(
        ("cancellation",), description="what callers want that raises an alert"
    )
    retranscribe: float = Field(
        1.0, ge=0, le=1, description="share of calls that are heard again, where sound is kept"
    )
    model: Literal["off", "local", "any"] = Field(
        "local",
        description="language model for summary, topics and outcome; any: EXTERNAL's calls by the "
        "brain's, which costs; private calls by the local one alone",
    )
    max_concurrent: int = Field(2, ge=1, le=32, description="calls at a time in one process")
    busy_sessions: int | None = Field(
        None, ge=1, description="from so many live sessions on it waits; null: half of the most"
    )
    busy_hours: tuple[int, ...] = Field(
        (), description="hours of the day (calls.timezone) in which it waits"
    )
