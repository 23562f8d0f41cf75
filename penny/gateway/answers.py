"""What the REST routes answer, as models: for the document at ``/openapi.json``, and its test."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from penny.calls.record import Call


Json = dict[str, Any]


class _Answer(BaseModel):
    """Base of what a route answers: fields of a later version may come."""

    model_config = ConfigDict(extra="allow")


class Fault(_Answer):
    """What is wrong. ``param`` names the field, or the right that a key lacks; ``retryable``: the
    same may work later."""

    code: str
    message: str
    param: str | None = None
    retryable: bool = False


class ErrorAnswer(_Answer):
    """The body of every refusal."""

    error: Fault


class Mode(_Answer):
    """What can talk back, as a page shows it before a session."""

    name: str
    label: str
    description: str
    privacy: str
    cost_per_minute_usd: float
    available: bool
    reason: str | None
    remedy: str | None
    selectable: bool
    default: bool
    latency_ms: Json | None
    hears: Json | None
    notice: Json | None


class Modes(_Answer):
    """``GET /v1/modes``."""

    default_mode: str
    allow_user_selection: bool
    examples: list[str]
    modes: list[Mode]


class RoomName(_Answer):
    """A page, and where it is."""

    name: str
    path: str


class Rooms(_Answer):
    """``GET /v1/rooms``."""

    rooms: list[RoomName]


class Secret(_Answer):
    """A client secret; ``expires_at`` is Unix time."""

    value: str
    expires_at: int
    session: Json


class SignedIn(_Answer):
    """Who asks. ``csrf`` is null for who sends a key instead of the page's cookie."""

    signed_in: bool
    tenant: str
    key_id: str
    rights: list[str]
    csrf: str | None


class Sessions(_Answer):
    """``GET /admin/v1/sessions``."""

    sessions: list[Json]


class CallRow(_Answer):
    """A kept call as lists show it; ``started_ms`` is Unix time."""

    id: str
    tenant: str
    started_ms: int
    duration_ms: int
    mode: str
    edge: str
    direction: str
    caller: str
    user_id: str
    status: str
    end_reason: str
    language: str
    turns: int
    interruptions: int
    cost_usd: float | None
    processed: bool
    outcome: str | None
    sentiment: str | None
    intent: str | None
    topics: list[str] | None
    alert: bool
    sound_state: str
    held: bool
    parent: str


class CallTree(Call):
    """A kept call with its turns, and the other legs of the tree that it belongs to."""

    legs: list[CallRow]


class CallPage(_Answer):
    """A page of kept calls; ``cursor`` asks for the next, null where there is none."""

    calls: list[CallRow]
    cursor: str | None
    timezone: str


class AlertedCall(_Answer):
    """A call that raised an alert: its kinds, and the first reason that is given."""

    id: str
    tenant: str
    started_ms: int
    mode: str
    edge: str
    kinds: list[str]
    reason: str | None


class AlertedCalls(_Answer):
    """Calls that raised an alert, newest first."""

    calls: list[AlertedCall]


class DashboardFigures(_Answer):
    """Figures of a range of days; null where nothing is known that one could be of.

    ``avg_call_duration`` is in seconds, ``avg_latency`` in ms, ``avg_sentiment`` -1 to 1. The eight
    first are the names of the user's documents; ``figures`` has every one with its numbers.
    """

    total_calls_today: int
    avg_call_duration: float | None
    resolution_rate: float | None
    escalation_rate: float | None
    avg_sentiment: float | None
    top_topics: list[str]
    wer_improvement: str | None
    avg_latency: float | None
    range: Json
    yesterday_by_now: int
    figures: list[Json]
    series: list[Json]
    tables: dict[str, list[Json]]
    is_counting: bool


class ExperimentList(_Answer):
    """Experiments with their arms; a difference is against the first arm, its interval holds at
    every look."""

    experiments: list[Json]


class Stopped(_Answer):
    """An experiment that was stopped, and whether it ran until now."""

    name: str
    stopped: bool
    was_running: bool


class Erased(_Answer):
    """The calls that went."""

    erased: list[str]


class Held(_Answer):
    """Whether a call is under legal hold."""

    held: bool


class Link(_Answer):
    """An address that opens a file for a while."""

    url: str
    expires_in_s: int


class TelephonyState(_Answer):
    """What the last test of a line told. ``status``: connected, disconnected or error."""

    status: str
    code: str
    steps: list[Json]
    at_ms: int | None = None


class Telephony(_Answer):
    """How phone calls are received; a password is told as ``password_state``: set or unset."""

    method: str
    fxo_gateway: Json | None
    carrier_grade: Json | None
    state: TelephonyState
    warnings: list[str]
    refused: list[Json]
    """Calls to numbers that are not listed: ``number`` as received, ``at_ms``."""


class Stats(_Answer):
    """How much is kept."""

    calls: int
    deleted: int
    held: int
    sounds: int
    sound_bytes: int
    in_spool: int | None = None
    """Told to those who see every tenant's."""


class Processing(_Answer):
    """How far the analysis of calls is."""

    enabled: bool
    """Whether a process beside this gateway analyses what ends."""
    state: str
    """``working``, ``waiting`` for quieter times, ``idle``, ``off``."""
    waiting: int
    running: int
    completed: int
    skipped: int
    failed: int
    oldest_waiting_s: int | None
    """Since when the oldest call waits that is not analysed; null: none does."""
    throttled_since_s: int | None
    """Since when a model refuses for now; null: none does."""


class EndpointRow(_Answer):
    """A receiver of events. ``oldest_ms``, ``disabled_ms``, ``failing_since_ms``: Unix time."""

    name: str
    url: str
    types: list[str]
    tenants: list[str]
    payload: str
    legacy_signature: bool
    hears_private: bool
    secrets: int
    waiting: int
    oldest_ms: int | None
    failing_since_ms: int | None
    disabled_ms: int | None
    reason: str


class Endpoints(_Answer):
    """``GET /v1/webhooks``; ``fault``: why nothing can be delivered."""

    endpoints: list[EndpointRow]
    fault: str | None


class DeliveryRow(_Answer):
    """An event on its way to a receiver; ``log`` has its attempts."""

    id: int
    event_id: str
    endpoint: str
    type: str
    call_id: str
    at_ms: int
    state: str
    due_ms: int
    attempts: int
    tried_ms: int | None
    log: list[Json]


class Deliveries(_Answer):
    """A page of the delivery log; ``before`` asks for the next, null where there is none."""

    deliveries: list[DeliveryRow]
    before: int | None


class Replayed(_Answer):
    """How many deliveries were put on their way again."""

    deliveries: int


class Tested(_Answer):
    """What a receiver answered; ``status`` 0 and ``error`` where it did not."""

    ok: bool
    status: int
    error: str
    answer: str
    took_ms: int


class Enable(BaseModel):
    """Whether what an endpoint missed while it was disabled is sent, or given up."""

    send_missed: bool


class Enabled(_Answer):
    """The endpoint that is told again, and what became of what it missed."""

    enabled: str
    deliveries: int
