"""The events that receivers are told of, as models: their JSON Schema and docs come from here.

No field holds an empty string: what is not known is null, and ``missing`` says why. Fields marked
as ``full`` name people, numbers or words; an endpoint with a thin payload is not sent them.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from config.webhooks import EventType


Json = dict[str, Any]

LONGEST = 4_000
"""Characters of a text in a payload: an event stays below 20 kB."""
FULL: JsonDict = {"x-payload": "full"}


def full(about: str, default: Any = None) -> Any:
    """A field that a thin payload leaves out."""
    return Field(default, description=about, json_schema_extra=FULL)


class Told(BaseModel):
    """Base of what an event tells."""

    model_config = ConfigDict(extra="forbid")
    type: ClassVar[EventType]

    missing: dict[str, str] = Field(
        default_factory=dict, description="field that is null -> why it is"
    )


class OfCall(Told):
    """What every event of a call tells: whose call it is, and how it stands."""

    call_id: str = Field(description="the call; `GET /v1/calls/{call_id}` has all of it")
    tenant: str = Field(description="whose call it is")
    call_sequence: int = Field(
        description="grows within a call: a receiver sorts by it and drops what came too late"
    )
    state: Literal["live", "ended", "failed"] = Field(description="of the call by then")
    direction: Literal["inbound", "outbound"] = Field(description="who called")
    edge: str = Field(description="by which way the call came")
    mode: str = Field(description="what talked back last")
    language: str | None = Field(None, description="of the session")
    started_at: datetime = Field(description="when it began, UTC")
    attempt: int = Field(1, description="which attempt to reach the same person this call was")
    is_last_attempt: bool = Field(True, description="whether no other attempt follows")
    caller: str | None = full("number or name of who called")
    callee: str | None = full("number or name of who was called")
    user_id: str | None = full("the application's own name for the caller")


class CallStarted(OfCall):
    """A call began to talk. At once; again with the same id when its record is kept."""

    type = "call.started"

    contact: Json | None = full("who calls, as the CRM knows it: a screen to pop up")


class _CallOver(OfCall):
    """Base of the terminal events: each call has exactly one of them."""

    ended_at: datetime = Field(description="when it was over, UTC")
    duration_ms: int = Field(description="from its beginning to its end")
    end_reason: str | None = Field(None, description="why it ended")
    turns: int = Field(0, description="turns of the caller")
    interruptions: int = Field(0, description="answers that the caller cut")
    cost_usd: float | None = Field(None, description="what it cost; null where that is not known")
    outcome: str | None = Field(None, description="what was reached, as an analysis found it")
    claims: list[str] = Field(
        default_factory=list, description="tracking keys of queries and claims that were opened"
    )
    metrics: Json = Field(default_factory=dict, description="as `GET /v1/calls/{call_id}/metrics`")


class CallEnded(_CallOver):
    """A call that talked is over. Terminal."""

    type = "call.ended"


class CallFailed(_CallOver):
    """A call that never connected (missed, refused, busy), or that the gateway's own end cut off
    (``end_reason`` interrupted, lost). Terminal."""

    type = "call.failed"


class TurnCompleted(OfCall):
    """A turn of the caller with its answer. Told when the call is over, for only then are the
    numbers taken out that may not be kept; at once, without any number, to an endpoint with
    ``live_turns``."""

    type = "turn.completed"

    turn: int = Field(description="its number, from 1")
    finished_ms: float = Field(description="when, since the call began")
    is_interrupted: bool = Field(False, description="whether its answer was cut")
    is_masked: bool = Field(False, description="whether numbers were taken out")
    latency_ms: dict[str, int | None] = Field(
        default_factory=dict, description="by stage, from the end of the caller's speech"
    )
    words: str | None = full("what the caller said")
    heard_text: str | None = full("what of the answer was heard")


class AlertRaised(OfCall):
    """Something of a call that a person should see."""

    type = "alert.raised"

    kind: Literal["sentiment", "intent", "compliance"] = Field(description="what it is about")
    turns: list[int] = Field(default_factory=list, description="the turns it rests on")
    score: float | None = Field(None, description="as its engine gave it")
    reason: str | None = full("in words")


class HandoffRequested(OfCall):
    """The caller was promised a person. At once; again with the same id when it is kept."""

    type = "handoff.requested"

    destination: str | None = Field(None, description="who takes over, as the action names it")
    reason: str | None = full("why, as the caller or the model put it")
    summary: str | None = full("what the person who takes over is told")


class RecordingReady(OfCall):
    """What became of the sound of a call that was to be recorded."""

    type = "recording.ready"

    status: Literal["ready", "absent", "failed"] = Field(
        description="absent: there was nothing to keep; failed: it is lost"
    )
    reason: str | None = Field(None, description="why it is not ready")
    path: str | None = Field(None, description="where to get it, with the right calls:audio")
    duration_ms: int | None = Field(None, description="its length")
    bytes: int | None = Field(None, description="its size")
    sha256: str | None = Field(None, description="of its bytes")


class AnalysisCompleted(OfCall):
    """What became of a call's analysis. Follows every terminal event."""

    type = "analysis.completed"

    status: Literal["completed", "skipped", "failed"] = Field(description="what became of it")
    reason: str | None = Field(None, description="why it was skipped or failed")
    derived: Json | None = full("what was found")


class EndpointDisabled(Told):
    """An endpoint is told of nothing more. Goes to the other endpoints of the same tenants."""

    type = "endpoint.disabled"

    endpoint: str = Field(description="its name in penny.yaml")
    reason: Literal["gone", "failing"] = Field(
        description="gone: it answered 410; failing: for five days"
    )
    failing_since: datetime | None = Field(None, description="its first failure, UTC")
    waiting: int = Field(0, description="deliveries to it that wait; enabling it may send them")


MODELS: dict[EventType, type[Told]] = {
    model.type: model
    for model in (
        CallStarted,
        CallEnded,
        CallFailed,
        TurnCompleted,
        AlertRaised,
        HandoffRequested,
        RecordingReady,
        AnalysisCompleted,
        EndpointDisabled,
    )
}
TERMINAL: tuple[EventType, ...] = ("call.ended", "call.failed")


class Event(BaseModel):
    """An event as it waits: what is told, and to whom it may be.

    Args:
        is_private: of a call that was in the private mode; only hosts that ``privacy`` allows.
    """

    id: str
    type: EventType
    at: datetime
    tenant: str = ""
    call_id: str = ""
    caller: str = ""
    is_private: bool = False
    data: Json


def make_id(call_id: str, what: str, number: int = 0) -> str:
    """The id of an event: the same whenever and wherever it is told again."""
    return f"msg_{sha256(f'{call_id}/{what}/{number}'.encode()).hexdigest()[:32]}"


def tell(model: type[Told], reasons: dict[str, str] | None = None, **fields: Any) -> Json:
    """The data of an event; an empty text, at whatever depth, is null, and ``missing`` says why.

    Args:
        reasons: field -> why it is missing, where that is known.
    """
    missing: dict[str, str] = {}
    for name, value in fields.items():
        if value is None or value == "":
            fields[name] = None
            missing[name] = (reasons or {}).get(name, "not known")
        elif isinstance(value, str):
            fields[name] = value[:LONGEST]
        else:
            fields[name] = _without_empty(value, name, missing)
    return model(**fields, missing=missing).model_dump(mode="json")


def _without_empty(value: Any, path: str, missing: dict[str, str]) -> Any:
    """What lies in a field, null for each empty text; ``missing`` names its place, by dots."""
    if value == "":
        missing[path] = "not known"
        return None
    if isinstance(value, dict):
        return {k: _without_empty(v, f"{path}.{k}", missing) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_empty(v, f"{path}.{at}", missing) for at, v in enumerate(value)]
    return value


def thin(kind: EventType, data: Json) -> Json:
    """The data without people, numbers and words."""
    fields = MODELS[kind].model_fields
    dropped = {name for name, field in fields.items() if field.json_schema_extra == FULL}
    kept = {name: value for name, value in data.items() if name not in dropped}
    missing = data.get("missing", {}).items()
    kept["missing"] = {k: v for k, v in missing if k.split(".")[0] not in dropped}
    return kept
