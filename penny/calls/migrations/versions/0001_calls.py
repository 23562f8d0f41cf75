"""Calls, their turns, the audit log, and the index of what was said.

The tables as they were then, in full: what a later version adds stands in its own step.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


revision = "0001"
down_revision = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("mode", sa.String(32), nullable=False),
        sa.Column("edge", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("caller", sa.String(128), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("end_reason", sa.String(64), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("interruptions", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float),
        sa.Column("processed", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(64)),
        sa.Column("sentiment", sa.String(32)),
        sa.Column("intent", sa.String(64)),
        sa.Column("topics", JSON),
        sa.Column("alert", sa.Boolean, nullable=False),
        sa.Column("sound_state", sa.String(16), nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("deleted_ms", sa.BigInteger),
        sa.Column("record", JSON, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
    )
    op.create_index("calls_of_tenant", "calls", ["tenant", "started_ms", "id"])
    op.create_index("calls_of_caller", "calls", ["tenant", "caller"])
    op.create_index("calls_by_start", "calls", ["started_ms", "id"])
    op.create_index("calls_deleted", "calls", ["deleted_ms"])
    op.create_table(
        "turns",
        sa.Column(
            "call_id", sa.String(64), sa.ForeignKey("calls.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("raw", JSON, nullable=False),
        sa.Column("derived", JSON, nullable=False),
    )  # fmt: skip
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
    )
    op.create_index("audit_of_call", "audit", ["call_id", "at_ms"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE INDEX calls_said ON calls USING gin (to_tsvector('simple'::regconfig, folded))"
        )
    else:
        op.execute("CREATE VIRTUAL TABLE call_text USING fts5(call_id UNINDEXED, folded)")
