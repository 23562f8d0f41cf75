"""Events, their deliveries, and how each endpoint fares."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


revision = "0003"
down_revision = "0002"

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("caller", sa.String(128), nullable=False),
        sa.Column("is_private", sa.Boolean, nullable=False),
        sa.Column("data", JSON, nullable=False),
    )
    op.create_index("events_of_call", "events", ["call_id"])
    op.create_index("events_by_time", "events", ["at_ms"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "event_id", sa.String(64), sa.ForeignKey("events.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("endpoint", sa.String(48), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tried_ms", sa.BigInteger),
        sa.Column("log", JSON, nullable=False),
    )  # fmt: skip
    op.create_index("deliveries_once", "deliveries", ["event_id", "endpoint"], unique=True)
    op.create_index("deliveries_due", "deliveries", ["endpoint", "state", "id"])
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("failing_since_ms", sa.BigInteger),
        sa.Column("disabled_ms", sa.BigInteger),
        sa.Column("reason", sa.String(16), nullable=False),
    )
