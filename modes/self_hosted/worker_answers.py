"""Answers of a worker that is not there, given for it. Pure."""

from __future__ import annotations

from typing import Any

from penny.ids import new_id
from penny.realtime.errors import describe_error


Json = dict[str, Any]


def done(asked: Json) -> Json:
    """What a worker would have said to a deletion, a truncation or a clear."""
    verb = {"delete": "deleted", "truncate": "truncated", "clear": "cleared"}
    kind, _, wanted = asked["type"].rpartition(".")
    about: Json = {n: asked[n] for n in ("item_id", "content_index", "audio_end_ms") if n in asked}
    return {"type": f"{kind}.{verb[wanted]}", "event_id": new_id("event"), **about}


def not_active(cancel: Json) -> Json:
    """The error of a cancel for which no answer was under way."""
    fault = describe_error(
        "response_cancel_not_active",
        "Cancellation failed: no active response found.",
        None,
        cancel.get("event_id"),
        "invalid_request_error",
    )
    return {"type": "error", "event_id": new_id("event"), "error": fault}
