"""What went wrong, what to do about it, and how a connection closes."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from .message import Milliseconds, ServerEvent


ERROR_CODES: dict[str, str] = {
    "invalid_message": "the message is not JSON, or a field is missing, unknown or out of range",
    "message_too_large": "a message is larger than this protocol allows",
    "session_not_started": "something other than session_start came first",
    "session_already_started": "a second session_start came",
    "audio_invalid": "a binary message does not hold whole samples of the agreed format",
    "unauthorized": "no key, or one that does not admit this session",
    "origin_refused": "this page may not talk to this Penny",
    "not_allowed": "the field asks for something that is not open to this tenant",
    "address_not_allowed": "the address is not a public https one",
    "mode_unknown": "there is no mode of that name",
    "mode_unavailable": "the mode cannot talk now; the message says why and the remedy",
    "session_refused": "no room, or Penny is draining; retry_after_ms tells when to try again",
    "too_many_sessions": "all sessions of this tenant or key are taken",
    "too_many_new_sessions": "this tenant or key opens sessions too fast",
    "minutes_spent": "this tenant or key has used its minutes of today",
    "budget_spent": "this tenant or key has used its money of today",
    "resume_failed": "the session to take up again is over, or its token is unknown",
    "rate_limited": "too many messages; retry_after_ms tells when to try again",
    "speaker_lost": "the connection to what talks back ended",
    "engine_failed": "a stage of the pipeline failed; this turn has no answer, the session goes on",
    "internal_error": "a fault of Penny's own; it was logged",
}

WARNING_CODES: dict[str, str] = {
    "field_ignored": "a field is not known to this protocol and was ignored",
    "model_replaced": "a retired model name was mapped to its successor",
    "version_mismatch": "the client was written for another major version",
    "field_unused": "the field has no meaning in this mode and was ignored",
    "degraded": "something works less well than usual; the message says what",
    "ending_soon": "the session reaches its time or cost limit soon",
}


class CloseCode(IntEnum):
    """WebSocket close codes of ``/ws``."""

    NORMAL = 1000
    GOING_AWAY = 1001
    TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    INVALID_START = 4400
    UNAUTHORIZED = 4401
    MODE_UNAVAILABLE = 4404
    START_TIMEOUT = 4408
    DOES_NOT_READ = 4413
    SESSION_REFUSED = 4429
    SPEAKER_LOST = 4502


class SessionWarning(ServerEvent):
    """Something was put right or left out; the session goes on."""

    type: Literal["warning"] = "warning"
    code: str
    """Machine name from the table of warning codes."""
    message: str
    """What happened, for a developer."""
    field: str | None = None
    """The field concerned, dotted; null when none."""


class SessionError(ServerEvent):
    """Something failed. The session goes on unless the connection closes after it."""

    type: Literal["error"] = "error"
    code: str
    """Machine name from the table of error codes."""
    message: str
    """What is wrong and how to mend it."""
    retryable: bool
    """Whether the same request may succeed later."""
    field: str | None = None
    """The field at fault, dotted; null when none."""
    retry_after_ms: Milliseconds | None = None
    """When to try again; null when not known."""
