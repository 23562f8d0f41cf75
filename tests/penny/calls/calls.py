"""Calls as tests write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from penny.calls.record import Call, Heard, Turn, measure


BEGAN = datetime(2026, 11, 30, 12, tzinfo=UTC)


def a_turn(
    words: str = "¿Cuándo vence mi factura?", heard: str = "El quince.", **more: Any
) -> Turn:
    """A turn of a second and a half, answered."""
    item = Heard(
        item_id="item_1", starts_ms=1500, audio_ms=2000, heard_ms=2000, text=heard, heard_text=heard
    )
    latency = {"transcript": 200, "first_token": 300, "first_audio": 450, "done": 900}
    fields: dict[str, Any] = {
        "number": 1,
        "from_ms": 0,
        "until_ms": 1000,
        "finished_ms": 4000,
        "words": words,
        "text": heard,
        "heard_text": heard,
        "items": [item],
        "latency_ms": latency,
    }
    return Turn(**{**fields, **more})


def a_call(number: int = 0, tenant: str = "default", **more: Any) -> Call:
    """The call that began so many minutes after noon."""
    began = BEGAN + timedelta(minutes=number)
    fields: dict[str, Any] = {
        "id": f"sess_{tenant}_{number}",
        "tenant": tenant,
        "edge": "socket",
        "modes": ["SELF_HOSTED"],
        "started_at": began,
        "ended_at": began + timedelta(seconds=30),
        "turns": [a_turn()],
    }
    call = Call(**{**fields, **more})
    call.metrics = measure(call)
    return call
