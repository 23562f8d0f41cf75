"""Structured logs of a Penny process: no audio, no transcript, no secret, ever.

Whatever a library or a hurried line hands over, fields whose names hold speech or credentials
are dropped here, so a mistake elsewhere leaks nothing.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

import structlog
from structlog.typing import EventDict, WrappedLogger

from penny.errors import PennyError


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


def describe_exception(error: BaseException) -> dict[str, object]:
    """What a log may say of an exception: its type and where it rose.

    Its text is told only when it is our own: a library quotes what it could not read, and what
    it could not read may be what a caller said.
    """
    facts: dict[str, object] = {
        "error": type(error).__name__,
        "where": _places(error.__traceback__),
    }
    if isinstance(error, PennyError):
        facts |= {"code": error.code, "reason": error.message}
    cause = error.__cause__ or error.__context__
    if cause is not None:
        facts["because"] = describe_exception(cause)
    if isinstance(error, BaseExceptionGroup):
        facts["group"] = [describe_exception(inner) for inner in error.exceptions]
    return facts


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-8:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def tell_exceptions(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put ``fault`` in the place of ``exc_info``."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()[1]
    elif isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        event["fault"] = describe_exception(info)
    return event


class _LibraryFormatter(logging.Formatter):
    """Libraries' own log lines, their exceptions told as ours are."""

    def formatException(self, ei: object) -> str:
        error = ei[1] if isinstance(ei, tuple) else None
        return str(describe_exception(error)) if isinstance(error, BaseException) else ""


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
        tell_exceptions,
        drop_personal,
    ]
    renderers: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if console
        else [structlog.processors.JSONRenderer()]
    )
    number = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
