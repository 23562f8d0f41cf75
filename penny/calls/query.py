"""Which calls are found, in which order, and from where on: filters as SQL."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import (
    ColumnElement,
    Select,
    TextClause,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)

from penny.calls.rows import to_ms
from penny.calls.sums import counts_in, is_test
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
    "parent",
)  # fmt: skip


class CallQuery(BaseModel):
    """Which calls: every filter that is given holds."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    tenant: str | None = None
    """For who sees every tenant's."""
    caller: str | None = None
    user_id: str | None = None
    parent: str | None = None
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
    figure: str | None = Field(None, max_length=200)
    """Those behind a figure of the dashboard (``penny.calls.sums.counts_in``)."""
    test: bool | None = None
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
        except (ValueError, OverflowError):  # it is no day, or the last that there is
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
    said: Said | None = None,
) -> Select[Any]:
    """The statement that finds them, in order, from the cursor on. Raises ProtocolError."""
    column = calls.c.__getitem__ if said is None or not said.leads else _unindexed
    query = select(*columns).where(column("deleted_ms").is_(None))
    if tenant is not None:
        query = query.where(column("tenant") == tenant)
    for name in (
        "id", "tenant", "caller", "user_id", "parent", "mode", "edge", "status", "processed",
        "outcome", "sentiment", "intent", "alert",
    ):  # fmt: skip
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(column(name) == value)
    if wanted.sound is not None:
        query = query.where(column("sound_state") == wanted.sound)
    if wanted.since is not None:
        query = query.where(column("started_ms") >= to_ms(wanted.since))
    if wanted.until is not None:
        query = query.where(column("started_ms") < to_ms(wanted.until))
    if wanted.min_s is not None:
        query = query.where(column("duration_ms") >= wanted.min_s * 1000)
    if wanted.max_s is not None:
        query = query.where(column("duration_ms") <= wanted.max_s * 1000)
    if wanted.topic is not None:
        query = query.where(_has_topic(wanted.topic))
    if wanted.figure is not None:
        query = query.where(counts_in(wanted.figure))
    if wanted.test is not None:
        query = query.where(is_test(wanted.test))
    if said is not None:
        query = query.where(said.condition)
    is_newest, order = wanted.order == "newest", (column("started_ms"), column("id"))
    if wanted.cursor:
        here, there = tuple_(*order), tuple_(*map(literal, read_cursor(wanted.cursor)))
        query = query.where(here < there if is_newest else here > there)
    return query.order_by(*(each.desc() if is_newest else each.asc() for each in order))


def _has_topic(topic: str) -> ColumnElement[bool]:
    """JSON as both databases write it: SQLite's is in ASCII, PostgreSQL's in UTF-8."""
    told = calls.c.topics.cast(calls.c.folded.type)
    names = {json.dumps(topic), json.dumps(topic, ensure_ascii=False)}
    return or_(*(func.replace(told, name, "") != told for name in sorted(names)))


@dataclass(frozen=True, slots=True)
class Said:
    """The condition that words were said; ``leads``: it finds so few that SQLite begins with it."""

    condition: TextClause
    leads: bool = False


def said_in_postgres(words: list[str]) -> Said:
    """The planner knows how common each word is."""
    wanted = text("calls.said_words @@ plainto_tsquery('simple', :phrase)")
    return Said(wanted.bindparams(phrase=" ".join(words)))


def said_in_sqlite(words: list[str], *, are_rare: bool) -> Said:
    """Rare words: their calls are looked up. Common ones: calls are looked through in order."""
    inside = "SELECT rowid FROM call_text WHERE call_text MATCH :phrase"
    wanted = (
        f"calls.text_row IN ({inside})"
        if are_rare
        else f"EXISTS ({inside} AND rowid = calls.text_row)"
    )
    return Said(text(wanted).bindparams(phrase=_phrase(words)), leads=are_rare)


def count_matches(words: list[str], limit: int) -> TextClause:
    """How many calls SQLite's index of words has with all of them, counted up to a limit."""
    inside = "SELECT 1 FROM call_text WHERE call_text MATCH :phrase LIMIT :limit"
    wanted = text(f"SELECT count(*) FROM ({inside})")
    return wanted.bindparams(phrase=_phrase(words), limit=limit)


def _phrase(words: list[str]) -> str:
    return " ".join(f'"{word}"' for word in words)


def _unindexed(name: str) -> ColumnElement[Any]:
    """A column as SQLite reads it from the row: a plus keeps it from the column's index."""
    return literal_column(f"+calls.{name}", calls.c[name].type)


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
