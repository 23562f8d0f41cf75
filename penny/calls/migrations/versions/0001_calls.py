"""Calls, their turns, the audit log, and the index of what was said."""

from alembic import op

from penny.calls.tables import metadata


revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    if connection.dialect.name == "postgresql":
        op.execute(
            "CREATE INDEX calls_said ON calls USING gin (to_tsvector('simple'::regconfig, folded))"
        )
    else:
        op.execute("CREATE VIRTUAL TABLE call_text USING fts5(call_id UNINDEXED, folded)")
