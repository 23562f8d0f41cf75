"""Time and money of a turn."""

from __future__ import annotations

from typing import Literal

from .message import Milliseconds, Part, ServerEvent, TurnId, Usd


class LatencyMs(Part):
    """When each stage was reached, in ms after the caller's speech ended; null when unknown.

    A typed turn counts from the arrival of its text. Values may be negative for a stage that was
    reached early (a transcript made while the caller still spoke).
    """

    speech_end: int = 0
    """The origin: always 0."""
    turn_decided: int | None = None
    """The turn was taken to be over."""
    transcript: int | None = None
    """The final transcript was known."""
    first_token: int | None = None
    """The first word of the answer was known."""
    first_audio: int | None = None
    """The first audio of the answer left Penny."""
    done: int | None = None
    """The response ended."""


class TurnMetrics(ServerEvent):
    """Where the time of a turn went; sent once, after ``response_done``."""

    type: Literal["turn_metrics"] = "turn_metrics"
    turn_id: TurnId
    """The turn."""
    latency_ms: LatencyMs
    """When each stage was reached."""
    input: Literal["speech", "text"] = "speech"
    """Whether the caller spoke or typed."""
    interrupted: bool = False
    """Whether the answer was cut."""
    speech_ms: Milliseconds | None = None
    """How long the caller spoke; null for a typed turn."""
    audio_ms: Milliseconds | None = None
    """How much audio the answer had; null when none."""


class Cost(ServerEvent):
    """What the session has cost so far."""

    type: Literal["cost"] = "cost"
    usd_total: Usd
    """US dollars since the session began."""
    usd_turn: Usd | None = None
    """US dollars of the last turn; null when not split by turn."""
    usd_by: dict[str, Usd] = {}
    """US dollars since the session began by component (``portavoz``, ``cerebro``, ``worker``)."""
    turn_id: TurnId | None = None
    """The turn that was counted last; null before the first."""
    duration_ms: Milliseconds | None = None
    """Session time that was counted."""
