"""What an analysis found of calls: who works on which, its steps, and figures for each call."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


revision = "0006"
down_revision = "0005"

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def _call() -> sa.Column[str]:
    call = sa.ForeignKey("calls.id", ondelete="CASCADE")
    return sa.Column("call_id", sa.String(64), call, primary_key=True)


def upgrade() -> None:
    op.create_table(
        "analysis_jobs",
        _call(),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("graph", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("throttled_ms", sa.BigInteger),
    )
    op.create_index("analysis_jobs_due", "analysis_jobs", ["state", "due_ms"])
    op.create_table(
        "analysis_steps",
        _call(),
        sa.Column("step", sa.String(32), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("basis", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("done_ms", sa.BigInteger, nullable=False),
        sa.Column("result", JSON, nullable=False),
    )
    op.create_table(
        "call_figures",
        _call(),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("analysed_ms", sa.BigInteger, nullable=False),
        sa.Column("is_partial", sa.Boolean, nullable=False),
        sa.Column("sentiment", sa.Float),
        sa.Column("sentiment_level", sa.String(16)),
        sa.Column("sentiment_start", sa.Float),
        sa.Column("sentiment_end", sa.Float),
        sa.Column("intent", sa.String(32)),
        sa.Column("intent_confidence", sa.Float),
        sa.Column("topics", JSON, nullable=False),
        sa.Column("outcome", sa.String(32)),
        sa.Column("quality", sa.Float),
        sa.Column("disagreement", sa.Float),
        sa.Column("escalated", sa.Boolean, nullable=False),
        sa.Column("repeated", sa.Boolean, nullable=False),
        sa.Column("alerts", sa.Integer, nullable=False),
        sa.Column("promises", sa.Integer, nullable=False),
        sa.Column("compliance_failed", sa.Integer, nullable=False),
        sa.Column("corrections", sa.Integer, nullable=False),
        sa.Column("clarifications", sa.Integer, nullable=False),
    )
    op.create_index("call_figures_by_start", "call_figures", ["tenant", "started_ms"])
