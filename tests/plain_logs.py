"""Log lines of the tests' own processes, each exception as the usual traceback.

structlog's default draws every local variable of every frame in tables: seconds for one exception.
"""

from __future__ import annotations

import structlog


def write_plain_logs() -> None:
    """Undo what ``configure_logs`` told structlog in this process."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
