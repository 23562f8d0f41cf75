"""What was said is found in time among 100,000 calls: the index of words by the call's own row."""

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"


LISTED = (
    "started_ms", "id", "deleted_ms", "mode", "edge", "status", "duration_ms", "processed",
    "outcome", "sentiment", "intent", "alert", "sound_state", "caller", "user_id", "text_row",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("calls", sa.Column("text_row", sa.BigInteger))
    if op.get_bind().dialect.name == "postgresql":
        # Kept beside the text: reading it anew for each row took most of a search.
        op.execute("DROP INDEX calls_said")
        op.execute(
            "ALTER TABLE calls ADD COLUMN said_words tsvector"
            " GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, folded)) STORED"
        )
        op.execute("CREATE INDEX calls_said ON calls USING gin (said_words)")
    else:
        op.execute("DROP TABLE call_text")
        op.execute("CREATE VIRTUAL TABLE call_text USING fts5(folded)")
        op.execute("UPDATE calls SET text_row = rowid WHERE folded <> ''")
        op.execute(
            "INSERT INTO call_text (rowid, folded)"
            " SELECT text_row, folded FROM calls WHERE text_row IS NOT NULL"
        )
    op.create_index("calls_of_text", "calls", ["text_row"])
    # Filters are read from the index: a row holds all that was said, and is long.
    op.drop_index("calls_deleted", "calls")
    deleted = sa.text("deleted_ms IS NOT NULL")
    op.create_index(
        "calls_deleted", "calls", ["deleted_ms"], sqlite_where=deleted, postgresql_where=deleted
    )
    op.drop_index("calls_of_tenant", "calls")
    op.drop_index("calls_by_start", "calls")
    op.create_index("calls_of_tenant", "calls", ["tenant", *LISTED])
    op.create_index("calls_by_start", "calls", [*LISTED, "tenant"])
