"""Redaction of events for the operator's page, when what was said is not shown. Pure.

Only what is known to be harmless stays: kinds, ids, states, numbers. Any other string is told as
its length, so that a new field of a provider's is hidden until it is listed here.
"""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

SHOWN = frozenset(
    {"type", "id", "object", "role", "status", "code", "reason", "phase", "name", "model", "voice"}
)
"""Fields whose text says nothing of the conversation; ids besides, by the end of their name."""
OPAQUE = frozenset(
    {"context_update", "passages", "arguments", "result", "details", "metadata", "prompt"}
)
"""Objects whose field names may be words of the conversation: only their presence is shown."""
MAX_ITEMS = 16
MAX_DEPTH = 8


def redact(event: Json) -> Json:
    """Return the event without a word that was said; the event itself is left alone."""
    return {name: _redact(name, value, 0) for name, value in event.items()}


def _redact(name: str, value: Any, depth: int) -> Any:
    if name in OPAQUE and value is not None:
        return "<hidden>"
    if isinstance(value, str):
        shown = name in SHOWN or name.endswith("_id")
        return value if shown else f"<{len(value)} characters>"
    if depth >= MAX_DEPTH:
        return "<deeper>"
    if isinstance(value, dict):
        return {str(key): _redact(str(key), part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(name, part, depth + 1) for part in value[:MAX_ITEMS]]
    return value
