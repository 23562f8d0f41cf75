"""Legs of a call find each other: which call each is a leg of."""

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("calls", sa.Column("parent", sa.String(64), nullable=False, server_default=""))
    op.create_index("calls_of_parent", "calls", ["parent"])
