"""Whose call it was, by the application's own name, and what the brain did and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


revision = "0002"
down_revision = "0001"

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("calls", sa.Column("user_id", sa.String(256), nullable=False, server_default=""))
    op.create_index("calls_of_user", "calls", ["tenant", "user_id"])
    op.create_table(
        "journal",
        sa.Column(
            "call_id", sa.String(64), sa.ForeignKey("calls.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("entry", JSON, nullable=False),
    )  # fmt: skip
