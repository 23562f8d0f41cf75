"""Events of a number are found by an index: the delivery log is searched for them."""

from alembic import op


revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("events_of_caller", "events", ["caller", "at_ms"])
