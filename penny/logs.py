"""Structured logs of a Penny process: no audio, no transcript, no secret, ever.

Whatever a library or a hurried line hands over, fields whose names hold speech or credentials
are dropped here, so a mistake elsewhere leaks nothing.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from types import TracebackType
from typing import TextIO, cast

import structlog
from stamina.instrumentation import RetryDetails, set_on_retry_hooks
from structlog.typing import EventDict, WrappedLogger

from penny.errors import PennyError


log = structlog.get_logger()

Json = dict[str, object]

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


def describe_exception(error: BaseException, _told: frozenset[int] = frozenset()) -> Json:
    """What a log may say of an exception: its type and where it rose.

    Its text is told only when it is our own: a library quotes what it could not read, and what
    it could not read may be what a caller said. An error that is its own cause, directly or in a
    group, is told once.
    """
    _told |= {id(error)}
    facts: Json = {
        "error": type(error).__name__,
        "where": _places(error.__traceback__),
    }
    if isinstance(error, PennyError):
        facts |= {"code": error.code, "reason": error.message}
    cause = error.__cause__ or error.__context__
    if cause is not None and id(cause) not in _told:
        facts["because"] = describe_exception(cause, _told)
    if isinstance(error, BaseExceptionGroup):
        untold = [inner for inner in error.exceptions if id(inner) not in _told]
        facts["group"] = [describe_exception(inner, _told) for inner in untold]
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


class LossyStream:
    """stderr that never fails its writer: a full disk must not end a call that logs a line.

    What could not be written is counted, and told as soon as a line can be written again.

    Args:
        json: whether lines are JSON objects.
    """

    def __init__(self, stream: TextIO, *, json: bool) -> None:
        self._stream = stream
        self._json = json
        self._untold = 0
        self._is_cut = False
        self.lost = 0
        """Lines lost, in all."""

    def write(self, text: str) -> int:
        try:
            if self._untold:
                self._write_all(self._tell_lost())
                self._untold = 0
            self._write_all(text)
        except (OSError, ValueError):
            self.lost += 1
            self._untold += 1
        return len(text)

    def fault(self) -> str:
        """Why the last line was lost, or ''."""
        return "log lines cannot be written" if self._untold else ""

    def flush(self) -> None:
        """``write`` has done it."""

    def isatty(self) -> bool:
        return self._stream.isatty()

    def _write_all(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except (OSError, AttributeError):
            self._stream.write(text)
            self._stream.flush()
            return
        # Past the stream's own buffer: what it could not write it would keep, and try for ever.
        left = (("\n" if self._is_cut else "") + text).encode("utf-8", "replace")
        while left:
            written = os.write(descriptor, left)
            left = left[written:]
            self._is_cut = bool(left)

    def _tell_lost(self) -> str:
        if self._json:
            return f'{{"event": "log_lines_lost", "level": "error", "lines": {self._untold}}}\n'
        return f"log_lines_lost lines={self._untold}\n"


_CREDENTIAL = re.compile(
    r"(insecure-api-key\.|penny-key\.|api_key=|bearer |(?<![\w-])(?:ek|penny|sk)[_-](?=[\w-]{16}))"
    r"[^\s'\",;&]+",
    re.IGNORECASE,
)
"""A key or client secret as requests carry it: subprotocol, query, header, or its bare value."""


def mask_credentials(text: str) -> str:
    """``text`` without the keys and client secrets that stand in it."""
    return _CREDENTIAL.sub(r"\1[left out]", text)


class _LibraryFormatter(logging.Formatter):
    """Libraries' own log lines, their exceptions told as ours are, credentials left out."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_credentials(super().format(record))

    def formatException(self, ei: object) -> str:
        error = ei[1] if isinstance(ei, tuple) else None
        return str(describe_exception(error)) if isinstance(error, BaseException) else ""


def tell_retry(details: RetryDetails) -> None:
    """Log a retry as everything else is logged: without the text of a library's error."""
    facts = describe_exception(details.caused_by)
    wait_s = round(details.wait_for, 1)
    log.warning("retry_scheduled", retry=details.retry_num, wait_s=wait_s, **facts)


def configure_logs(level: str, style: str) -> LossyStream:
    """Send structlog and stdlib logging to stderr; returns the way there, which counts its losses.

    Args:
        level: debug, info, warning or error.
        style: console, json, or auto (console on a terminal).
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    stderr = LossyStream(sys.stderr, json=not console)
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
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stderr)),
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(_LibraryFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    set_on_retry_hooks([tell_retry])
    return stderr
