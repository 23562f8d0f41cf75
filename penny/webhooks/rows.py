"""Events and deliveries as rows of the outbox, and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, true

from penny.calls.tables import events
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event
from penny.webhooks.policy import Answer, State


Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed delivery. ``attempts`` counts the one it was claimed for."""

    id: int
    event: Event
    attempts: int
    log: list[Json]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a claimed delivery. ``answer``: None where it was not sent."""

    delivery: Delivery
    endpoint: str
    answer: Answer | None
    state: State
    due_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """How an endpoint fares. ``oldest_ms`` (Unix): since when the oldest waits."""

    waiting: int = 0
    oldest_ms: int | None = None
    failing_since_ms: int | None = None
    disabled_ms: int | None = None
    reason: str = ""


def of_tenant(tenant: str | None) -> ColumnElement[bool]:
    """Events of a tenant; of every one where it is None."""
    return true() if tenant is None else events.c.tenant == tenant


def event_row(event: Event) -> Json:
    """The columns of an event."""
    fields = event.model_dump(mode="json", exclude={"at"})
    return {**fields, "at_ms": round(event.at.timestamp() * 1000)}


def read_event(row: RowMapping) -> Event:
    """The event of a row."""
    fields = {name: row[name] for name in Event.model_fields if name != "at"}
    return Event(**fields, at=datetime.fromtimestamp(row["at_ms"] / 1000, UTC))


def delivery_row(event: Event, endpoint: Endpoint) -> Json:
    """The columns of a new delivery; it is withheld where privacy does not let it go."""
    is_withheld = event.is_private and not endpoint.may_hear_private
    return {
        "event_id": event.id,
        "endpoint": endpoint.name,
        "state": "withheld" if is_withheld else "waiting",
        "due_ms": 0,
        "attempts": 0,
        "log": [],
    }


def log_line(outcome: Outcome, answer: Answer) -> Json:
    """An attempt in a delivery's log."""
    return {
        "at_ms": outcome.at_ms,
        "status": answer.status,
        "error": answer.error,
        "took_ms": answer.took_ms,
        "answer": answer.body,
    }
