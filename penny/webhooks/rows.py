"""Events and deliveries as rows of the outbox, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Row, true

from penny.calls.tables import events
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event
from penny.webhooks.policy import Answer, State


log = structlog.get_logger()

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


def read_events(rows: Iterable[Row[Any]]) -> list[Event]:
    """The events of rows; one of a later version, which shares this database, is left out."""
    found = []
    for row in rows:
        fields = {name: getattr(row, name) for name in Event.model_fields if name != "at"}
        try:
            at = datetime.fromtimestamp(row.at_ms / 1000, UTC)
            found.append(Event(**fields, at=at))
        except ValidationError:
            log.error("webhook_event_unreadable", event_id=row.id, event_type=row.type)  # noqa: TRY400
    return found


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


def refuse(event: Event, endpoint: Endpoint) -> State | None:
    """What becomes of a delivery that this endpoint may not have any more; None: it is sent.

    It may have been written by another configuration, days ago or by another gateway.
    """
    if event.is_private and not endpoint.may_hear_private:
        return "withheld"
    return None if endpoint.wants(event) else "dead"
