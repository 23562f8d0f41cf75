"""Calls as rows of the tables, and text as it is searched. Pure."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String

from penny.calls.record import Call
from penny.calls.tables import calls


Json = dict[str, Any]

_MOST = {each.name: each.type.length for each in calls.c if isinstance(each.type, String)}
"""Characters of the columns that have a limit (None: that have none): PostgreSQL refuses a row with
more, and would be asked again and again. The record has all of it."""


def row_of(call: Call) -> Json:
    """The columns of a call."""
    record = call.model_dump(mode="json", exclude={"turns", "held", "deleted_at"})
    said = " ".join(part for t in call.turns for part in (t.words or "", t.heard_text) if part)
    said = " ".join([said, *(claim.key for claim in call.claims)])
    metrics = call.metrics
    row = {
        "id": call.id,
        "tenant": call.tenant,
        "started_ms": to_ms(call.started_at),
        "ended_ms": to_ms(call.ended_at),
        "duration_ms": round((call.ended_at - call.started_at).total_seconds() * 1000),
        "mode": call.modes[-1],
        "edge": call.edge,
        "direction": call.direction,
        "caller": call.caller,
        "user_id": call.user_id,
        "status": call.status,
        "end_reason": call.end_reason,
        "language": call.language,
        "turns": metrics.get("total_turns", 0),
        "interruptions": metrics.get("interruptions_count", 0),
        "cost_usd": call.cost.get("total_usd"),
        "processed": call.processed,
        "outcome": metrics.get("outcome"),
        "sentiment": metrics.get("final_sentiment"),
        "intent": call.derived.get("intent"),
        "topics": metrics.get("topics"),
        "alert": bool(call.derived.get("alerts")),
        "sound_state": call.sound["state"],
        "held": call.held,
        "deleted_ms": None,
        "record": record,
        "folded": fold(said),
        "parent": call.parent,
    }
    cut = {name: row[name][:most] for name, most in _MOST.items() if isinstance(row[name], str)}
    return {**row, **cut}


def turn_rows(call: Call) -> list[Json]:
    """The rows of a call's turns."""
    return [
        {
            "call_id": call.id,
            "position": position,
            "raw": turn.model_dump(mode="json", exclude={"derived"}),
            "derived": turn.derived,
        }
        for position, turn in enumerate(call.turns)
    ]


def fold(said: str) -> str:
    """Lower case without accents; what is not a letter or a digit is a space."""
    plain = unicodedata.normalize("NFKD", said.casefold())
    kept = (c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join("".join(kept).split())


def to_ms(moment: datetime) -> int:
    """Unix time in ms; a moment without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
