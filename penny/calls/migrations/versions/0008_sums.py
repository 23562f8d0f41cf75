"""Sums of what calls add to the figures, what each call added, stopped experiments."""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "counted",
        sa.Column(
            "call_id", sa.String(64), sa.ForeignKey("calls.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("mode", sa.String(32), nullable=False),
        sa.Column("edge", sa.String(32), nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
        sa.Column("arms", sa.Text),
        *(sa.Column(f"slow_{stage}", sa.Integer, nullable=False) for stage in STAGES),
    )  # fmt: skip
    arms = sa.text("arms IS NOT NULL")
    op.create_index(
        "counted_arms", "counted", ["started_ms"], sqlite_where=arms, postgresql_where=arms
    )
    op.create_table(
        "experiment_stops",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("phase", sa.String(16), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
    )
    op.create_table(
        "sums",
        *(sa.Column(name, sa.String(length), primary_key=True) for name, length in KEY.items()),
        sa.Column("is_test", sa.Boolean, primary_key=True),
        sa.Column("parts", sa.Text, nullable=False),
    )
    op.create_index("sums_by_time", "sums", ["span", "starts"])


STAGES = ("stt", "llm", "tts", "total")
KEY = {"tenant": 64, "span": 8, "starts": 16, "mode": 32, "edge": 32}
