"""What is asked of the outbox: pages of the delivery log, and events to be sent again."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import ColumnElement, and_, true

from config.webhooks import EventType
from penny.calls.rows import to_ms
from penny.calls.tables import deliveries, events


class DeliveryQuery(BaseModel):
    """Filters of the delivery log; ``number`` finds all events of calls from a number."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str | None = None
    type: EventType | None = None
    state: Literal["waiting", "delivered", "dead", "withheld"] | None = None
    call_id: str | None = None
    number: str | None = None
    before: int | None = Field(
        None, ge=0, le=2**63 - 1, description="the `id` that the page before ended with"
    )
    limit: int = Field(50, ge=1, le=200)

    def where(self) -> ColumnElement[bool]:
        """The condition on deliveries and their events."""
        wanted: list[ColumnElement[bool]] = [true()]
        exact: list[tuple[Any, object]] = [
            (deliveries.c.endpoint, self.endpoint),
            (events.c.type, self.type),
            (deliveries.c.state, self.state),
            (events.c.call_id, self.call_id),
        ]
        wanted += [column == value for column, value in exact if value is not None]
        if self.before is not None:
            wanted.append(deliveries.c.id < self.before)
        return and_(*wanted)


class Replay(BaseModel):
    """Events to be sent again: one by its id, or those of a time."""

    model_config = ConfigDict(extra="forbid")

    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    endpoint: str | None = Field(None, description="to this one alone")
    delivered: bool = Field(False, description="also what was delivered, not only what is dead")

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if self.event_id is None and self.since is None:
            raise ValueError("name event_id, or since")
        if self.event_id is not None:
            self.delivered = True
        return self

    def where(self) -> ColumnElement[bool]:
        """The condition on events."""
        wanted: list[ColumnElement[bool]] = [true()]
        if self.event_id is not None:
            wanted.append(events.c.id == self.event_id)
        if self.since is not None:
            wanted.append(events.c.at_ms >= to_ms(self.since))
        if self.until is not None:
            wanted.append(events.c.at_ms < to_ms(self.until))
        return and_(*wanted)
