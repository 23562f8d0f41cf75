"""The tables of kept calls, of what is told and what was found of them, alike on SQLite and
PostgreSQL.

A call's row holds what lists filter and sort by, and the record itself as JSON beside it; turns
are rows of their own so that derived data is replaced without touching what was said. Text is
searched folded (no accents, lower case), so that both databases find the same: SQLite in its FTS5
table ``call_text``, PostgreSQL in the column ``said_words``, which it makes of ``folded``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


metadata = MetaData()
Json = JSON().with_variant(JSONB(), "postgresql")

LISTED = (
    "started_ms", "id", "deleted_ms", "mode", "edge", "status", "duration_ms", "processed",
    "outcome", "sentiment", "intent", "alert", "sound_state", "caller", "user_id", "text_row",
)  # fmt: skip
"""In order, with what lists filter by: the rows that hold what was said are read of what is found
alone."""

DELETED = text("deleted_ms IS NOT NULL")
"""An index of what is deleted alone: SQLite would read lists by one that has all the others too."""

IN_EXPERIMENTS = text("arms IS NOT NULL")

calls = Table(
    "calls",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("started_ms", BigInteger, nullable=False),  # Unix time
    Column("ended_ms", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("mode", String(32), nullable=False),  # the one that answered last
    Column("edge", String(32), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("caller", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("end_reason", String(64), nullable=False),
    Column("language", String(16), nullable=False),
    Column("turns", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("cost_usd", Float),
    Column("processed", Boolean, nullable=False),
    Column("outcome", String(64)),
    Column("sentiment", String(32)),
    Column("intent", String(64)),
    Column("topics", Json),
    Column("alert", Boolean, nullable=False),
    Column("sound_state", String(16), nullable=False),
    Column("held", Boolean, nullable=False),
    Column("deleted_ms", BigInteger),
    Column("record", Json, nullable=False),  # the call without its turns
    Column("folded", Text, nullable=False),  # what was said by both, as it is searched
    Column("user_id", String(256), nullable=False, server_default=""),
    Column("text_row", BigInteger),  # of SQLite's index of words
    Column("parent", String(64), nullable=False, server_default=""),
    Index("calls_of_parent", "parent"),
    Index("calls_of_text", "text_row"),
    Index("calls_of_tenant", "tenant", *LISTED),
    Index("calls_of_caller", "tenant", "caller"),
    Index("calls_of_user", "tenant", "user_id"),
    Index("calls_by_start", *LISTED, "tenant"),
    Index("calls_deleted", "deleted_ms", sqlite_where=DELETED, postgresql_where=DELETED),
)

turns = Table(
    "turns",
    metadata,
    Column("call_id", String(64), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("raw", Json, nullable=False),
    Column("derived", Json, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("call_id", String(64), nullable=False),
    Index("audit_of_call", "call_id", "at_ms"),
)

events = Table(
    "events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("type", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("call_id", String(64), nullable=False),  # '' where it is of no call
    Column("caller", String(128), nullable=False),
    Column("is_private", Boolean, nullable=False),
    Column("data", Json, nullable=False),
    Index("events_of_call", "call_id"),
    Index("events_by_time", "at_ms"),
    Index("events_of_caller", "caller", "at_ms"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(64), ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("endpoint", String(48), nullable=False),
    Column("state", String(16), nullable=False),  # waiting, delivered, dead, withheld
    Column("due_ms", BigInteger, nullable=False),  # the next attempt; the end of one under way
    Column("attempts", Integer, nullable=False),
    Column("tried_ms", BigInteger),
    Column("log", Json, nullable=False),  # the attempts, newest last
    Index("deliveries_once", "event_id", "endpoint", unique=True),
    Index("deliveries_due", "endpoint", "state", "id"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String(48), primary_key=True),
    Column("failing_since_ms", BigInteger),
    Column("disabled_ms", BigInteger),
    Column("reason", String(16), nullable=False),
)

analysis_jobs = Table(
    "analysis_jobs",
    metadata,
    Column("call_id", String(64), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # waiting, completed, skipped, failed
    Column("due_ms", BigInteger, nullable=False),  # the next attempt; the end of a lease
    Column("owner", String(64), nullable=False),  # who holds the lease; '' nobody
    Column("attempts", Integer, nullable=False),
    Column("graph", String(64), nullable=False),  # the steps and versions that it went through
    Column("reason", String(256), nullable=False),
    Column("throttled_ms", BigInteger),  # since when a model refuses for now
    Index("analysis_jobs_due", "state", "due_ms"),
)

analysis_steps = Table(
    "analysis_steps",
    metadata,
    Column("call_id", String(64), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("step", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("basis", String(64), nullable=False),  # what it was made of: equal, it stands
    Column("state", String(16), nullable=False),  # completed, skipped, failed
    Column("reason", String(256), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("done_ms", BigInteger, nullable=False),
    Column("result", Json, nullable=False),
)

call_figures = Table(
    "call_figures",
    metadata,
    Column("call_id", String(64), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("analysed_ms", BigInteger, nullable=False),
    Column("is_partial", Boolean, nullable=False),  # a step was skipped or failed
    Column("sentiment", Float),  # -1..1; None where nothing could be judged
    Column("sentiment_level", String(16)),  # very_negative … very_positive
    Column("sentiment_start", Float),
    Column("sentiment_end", Float),
    Column("intent", String(32)),
    Column("intent_confidence", Float),
    Column("topics", Json, nullable=False),
    Column("outcome", String(32)),
    Column("quality", Float),  # 0..100
    Column("disagreement", Float),  # word error between two transcripts
    Column("escalated", Boolean, nullable=False),
    Column("repeated", Boolean, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("promises", Integer, nullable=False),
    Column("compliance_failed", Integer, nullable=False),
    Column("corrections", Integer, nullable=False),
    Column("clarifications", Integer, nullable=False),
    Index("call_figures_by_start", "tenant", "started_ms"),
)

counted = Table(
    "counted",
    metadata,
    Column("call_id", String(64), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("mode", String(32), nullable=False),
    Column("edge", String(32), nullable=False),
    Column("is_test", Boolean, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("parts", Text, nullable=False),  # what the call adds to the sums, as JSON
    Column("arms", Text),  # of the experiments that it took part in, as JSON
    Column("slow_stt", Integer, nullable=False),  # of its slowest turn; -1: none known
    Column("slow_llm", Integer, nullable=False),
    Column("slow_tts", Integer, nullable=False),
    Column("slow_total", Integer, nullable=False),
    Index(
        "counted_arms", "started_ms", sqlite_where=IN_EXPERIMENTS, postgresql_where=IN_EXPERIMENTS
    ),
)

sums = Table(
    "sums",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("span", String(8), primary_key=True),
    Column("starts", String(16), primary_key=True),
    Column("mode", String(32), primary_key=True),
    Column("edge", String(32), primary_key=True),
    Column("is_test", Boolean, primary_key=True),
    Column("parts", Text, nullable=False),
    Index("sums_by_time", "span", "starts"),
)

experiment_stops = Table(
    "experiment_stops",
    metadata,
    Column("name", String(48), primary_key=True),
    Column("phase", String(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", String(256), nullable=False),
)

Row = dict[str, Any]
