"""Structured logs of a Penny process: no audio, no transcript, no secret, ever.

Whatever a library or a hurried line hands over, fields whose names hold speech or credentials
are dropped here, so a mistake elsewhere leaks nothing.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger


PERSONAL_PREFIX = "pii_"
PERSONAL_FIELDS = frozenset(
    {"transcript", "text", "audio", "delta", "instructions", "prompt", "content", "query"}
)
SECRET_WORDS = ("key", "token", "secret", "authorization", "password", "cookie")
HARMLESS = frozenset({"key_name", "token_count", "tokens", "config_key"})


def drop_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove fields that hold speech, text of the conversation or credentials."""
    for name in list(event):
        lowered = name.lower()
        secret = lowered not in HARMLESS and any(word in lowered for word in SECRET_WORDS)
        if secret or lowered in PERSONAL_FIELDS or lowered.startswith(PERSONAL_PREFIX):
            del event[name]
    return event


def configure_logs(level: str, style: str) -> None:
    """Send structlog and stdlib logging to stderr.

    Args:
        level: debug, info, warning or error.
        style: console, json, or auto (console on a terminal).
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_personal,
    ]
    renderers: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    number = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
