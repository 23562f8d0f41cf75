"""Whose call it was, by the application's own name."""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("calls", sa.Column("user_id", sa.String(256), nullable=False, server_default=""))
    op.create_index("calls_of_user", "calls", ["tenant", "user_id"])
