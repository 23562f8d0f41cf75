"""Positions in the caller's audio, as events tell them."""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]

_POSITIONS = ("audio_start_ms", "audio_end_ms", "speech_end_ms", "decided_ms")
_POSITIONED = ("input_audio_buffer.", "penny.")


def shift_positions(event: Json, by_ms: float) -> Json:
    """``event`` with its positions moved: a worker's audio clock begins at 0 when it comes.

    Args:
        by_ms: how much of the caller's audio came before the first that the worker heard.
    """
    if not by_ms or not event["type"].startswith(_POSITIONED):
        return event
    told = {name: event[name] for name in _POSITIONS if isinstance(event.get(name), int)}
    return {**event, **{name: round(position + by_ms) for name, position in told.items()}}
