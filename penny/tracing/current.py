"""The current span of a task, and a span around a piece of work.

Imports nothing of OpenTelemetry: a session that is not traced costs one check.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penny.tracing.attributes import Attributes, Kind


if TYPE_CHECKING:
    from penny.tracing.trace import Span, Trace


_current: ContextVar[Span | None] = ContextVar("penny_span", default=None)


@contextmanager
def span(
    trace: Trace | None,
    name: str,
    *,
    item_id: str = "",
    kind: Kind = "internal",
    attributes: Attributes | None = None,
) -> Iterator[Span | None]:
    """Time the work inside; None where the session is not traced.

    Inside another span of this task it is that one's child, else of the turn ``item_id`` (of the
    session when that is empty). What is raised ends it with ``error.type``.
    """
    if trace is None:
        yield None
        return
    outer = _current.get()
    if outer is not None and outer.is_open:  # a task may outlive the work it was begun in
        opened = outer.start(name, kind=kind, attributes=attributes)
    else:
        opened = trace.start(name, item_id=item_id, kind=kind, attributes=attributes)
    token = _current.set(opened)
    try:
        yield opened
    except BaseException as error:
        opened.end(error=str(getattr(error, "code", "")) or type(error).__name__)
        raise
    finally:
        _current.reset(token)
        opened.end()


def trace_headers(url: str | None) -> dict[str, str]:
    """Headers for a request to a vendor or an action: the ``traceparent``, if its host is one that
    ``tracing.propagate_to`` names; else nothing."""
    current = _current.get()
    if current is None or not current.is_open or url is None:
        return {}
    if urlsplit(url).hostname in current.propagate_to:
        return {"traceparent": current.traceparent}
    return {}
