"""Which calls are found, in which order, and from where on: filters as SQL."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import ColumnElement, Select, func, literal, select, text, tuple_

from penny.calls.rows import fold, to_ms
from penny.calls.tables import calls
from penny.errors import ProtocolError


Json = dict[str, Any]

PAGE = 50
MOST = 500
MOST_DIGITS = 18
"""Of a cursor's moment: more is no number of a database's."""
SHOWN = (
    "id", "tenant", "started_ms", "duration_ms", "mode", "edge", "direction", "caller", "user_id",
    "status", "end_reason", "language", "turns", "interruptions", "cost_usd", "processed",
    "outcome", "sentiment", "intent", "topics", "alert", "sound_state", "held",
)  # fmt: skip


class CallQuery(BaseModel):
    """Which calls: every filter that is given holds."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    caller: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    mode: str | None = None
    edge: str | None = None
    status: str | None = None
    processed: bool | None = None
    outcome: str | None = None
    sentiment: str | None = None
    intent: str | None = None
    topic: str | None = None
    alert: bool | None = None
    sound: str | None = None
    min_s: float | None = Field(None, ge=0)
    max_s: float | None = Field(None, ge=0)
    text: str | None = Field(None, max_length=200)
    """Words that all were said by either side; accents and case do not matter."""
    order: Literal["newest", "oldest"] = "newest"
    limit: int = Field(PAGE, ge=1, le=MOST)
    cursor: str | None = Field(None, max_length=200)

    @field_validator("until", mode="before")
    @classmethod
    def _a_day_counts_to_its_end(cls, value: object) -> object:
        try:
            return date.fromisoformat(str(value)) + timedelta(days=1)
        except ValueError:
            return value

    def in_zone(self, zone: ZoneInfo) -> CallQuery:
        """The query whose days and moments without a zone are of this one."""
        moments = {"since": self.since, "until": self.until}
        local = {
            name: each.replace(tzinfo=zone)
            for name, each in moments.items()
            if each is not None and each.tzinfo is None
        }
        return self.model_copy(update=local)


def find_calls(
    columns: Sequence[ColumnElement[Any]],
    tenant: str | None,
    wanted: CallQuery,
    *,
    is_postgres: bool,
) -> Select[Any]:
    """The statement that finds them, in order, from the cursor on. Raises ProtocolError."""
    query = select(*columns).where(mine(tenant), calls.c.deleted_ms.is_(None))
    for name in (
        "id", "caller", "user_id", "mode", "edge", "status", "processed", "outcome",
        "sentiment", "intent", "alert",
    ):  # fmt: skip
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(calls.c[name] == value)
    if wanted.sound is not None:
        query = query.where(calls.c.sound_state == wanted.sound)
    if wanted.since is not None:
        query = query.where(calls.c.started_ms >= to_ms(wanted.since))
    if wanted.until is not None:
        query = query.where(calls.c.started_ms < to_ms(wanted.until))
    if wanted.min_s is not None:
        query = query.where(calls.c.duration_ms >= wanted.min_s * 1000)
    if wanted.max_s is not None:
        query = query.where(calls.c.duration_ms <= wanted.max_s * 1000)
    if wanted.topic is not None:
        query = query.where(calls.c.topics.cast(calls.c.folded.type).contains(f'"{wanted.topic}"'))
    if wanted.text and (words := fold(wanted.text).split()):
        query = query.where(_said(words, is_postgres=is_postgres))
    is_newest, order = wanted.order == "newest", (calls.c.started_ms, calls.c.id)
    if wanted.cursor:
        here, there = tuple_(*order), tuple_(*map(literal, read_cursor(wanted.cursor)))
        query = query.where(here < there if is_newest else here > there)
    return query.order_by(*(column.desc() if is_newest else column.asc() for column in order))


def _said(words: list[str], *, is_postgres: bool) -> ColumnElement[bool]:
    if is_postgres:
        vector = func.to_tsvector(text("'simple'"), calls.c.folded)
        return vector.op("@@")(func.plainto_tsquery(text("'simple'"), " ".join(words)))
    phrase = " ".join(f'"{word}"' for word in words)
    inside = text("SELECT call_id FROM call_text WHERE call_text MATCH :phrase")
    return calls.c.id.in_(inside.bindparams(phrase=phrase).columns(calls.c.id.label("call_id")))


def mine(tenant: str | None) -> ColumnElement[bool]:
    """Calls of a tenant; everybody's where it is None."""
    return calls.c.tenant == tenant if tenant is not None else calls.c.id.is_not(None)


def write_cursor(row: Json) -> str:
    """Where the page that ends with this row ends."""
    return urlsafe_b64encode(f"{row['started_ms']}:{row['id']}".encode()).decode()


def read_cursor(cursor: str) -> tuple[int, str]:
    """Raises ProtocolError."""
    try:
        started_ms, _, call_id = urlsafe_b64decode(cursor).decode().partition(":")
        if len(started_ms) > MOST_DIGITS:
            raise ValueError(started_ms)
        return int(started_ms), call_id
    except ValueError as error:
        raise ProtocolError("cursor: is none that was given out here", field="cursor") from error
