"""One session's trace: its root span, its turns, and how two processes agree on a turn.

A turn's span id follows from the trace's id and the item's, so a worker, which decides on turns,
hangs its own spans below the gateway's turn without a word between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from penny.tracing.attributes import Attributes, Kind


MAX_TURNS = 64
"""Turns whose span is remembered; a later child of an older one is the session's."""
_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "server": SpanKind.SERVER}
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class SpanIds(IdGenerator):
    """Generator of span ids: random, unless the next span's is set (spans start on one thread)."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.next_span_id = 0

    def generate_span_id(self) -> int:
        told, self.next_span_id = self.next_span_id, 0
        return told or self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._random.generate_trace_id()


class Clock:
    """Converts loop time to Unix nanoseconds.

    The wall clock is read once: a session's spans keep their distances when it is set meanwhile.
    """

    def __init__(self, loop_s: Callable[[], float], wall_ns: Callable[[], int]) -> None:
        self.loop_s = loop_s
        self._origin_ns = wall_ns() - round(loop_s() * 1e9)

    def ns(self, at_s: float | None) -> int:
        return self._origin_ns + round((self.loop_s() if at_s is None else at_s) * 1e9)


class Span:
    """A span that may have children. Ending it twice does nothing."""

    def __init__(
        self, tracer: Tracer, otel: OtelSpan, clock: Clock, propagate_to: frozenset[str]
    ) -> None:
        self._tracer = tracer
        self._otel = otel
        self._clock = clock
        self._context = set_span_in_context(otel, Context())
        self.propagate_to = propagate_to

    @property
    def is_open(self) -> bool:
        return self._otel.is_recording()

    @property
    def traceparent(self) -> str:
        context = self._otel.get_span_context()
        flags = int(context.trace_flags)
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"

    def start(
        self,
        name: str,
        *,
        at_s: float | None = None,
        kind: Kind = "internal",
        attributes: Attributes | None = None,
    ) -> Span:
        """A child; ``at_s`` is loop time, now when left out."""
        otel = self._tracer.start_span(
            name,
            context=self._context,
            kind=_KINDS[kind],
            attributes=plain(attributes),
            start_time=self._clock.ns(at_s),
            record_exception=False,
        )
        return Span(self._tracer, otel, self._clock, self.propagate_to)

    def set(self, attributes: Attributes) -> None:
        self._otel.set_attributes(plain(attributes))

    def end(self, at_s: float | None = None, *, error: str = "") -> None:
        """``error``: a code or an exception's type, never its text."""
        if not self._otel.is_recording():
            return
        if error:
            self._otel.set_attribute("error.type", error)
            self._otel.set_status(Status(StatusCode.ERROR))
        self._otel.end(self._clock.ns(at_s))


class Trace:
    """A session's trace, in the gateway (``root`` is its own) or in a worker (the gateway's)."""

    def __init__(self, root: Span, ids: SpanIds, *, is_owner: bool) -> None:
        self.root = root
        self._ids = ids
        self._is_owner = is_owner
        self._turns: dict[str, Span] = {}

    @property
    def traceparent(self) -> str:
        return self.root.traceparent

    @property
    def id(self) -> str:
        return self.traceparent.split("-")[1]

    def turn(
        self, item_id: str, *, at_s: float | None = None, attributes: Attributes | None = None
    ) -> Span:
        """The turn's span, begun at ``at_s`` where it is new."""
        known = self._turns.get(item_id)
        if known is None:
            known = self._begin_turn(item_id, at_s)
            self._turns[item_id] = known
            if len(self._turns) > MAX_TURNS:
                del self._turns[next(iter(self._turns))]
        if attributes:
            known.set(attributes)
        return known

    def start(
        self,
        name: str,
        *,
        item_id: str = "",
        at_s: float | None = None,
        kind: Kind = "internal",
        attributes: Attributes | None = None,
    ) -> Span:
        """A child of a turn, or of the session."""
        parent = self.turn(item_id) if item_id else self.root
        return parent.start(name, at_s=at_s, kind=kind, attributes=attributes)

    def _begin_turn(self, item_id: str, at_s: float | None) -> Span:
        span_id = derive_span_id(self.id, item_id)
        if self._is_owner:
            self._ids.next_span_id = span_id
            attributes: Attributes = {"penny.item.id": item_id}
            return self.root.start("turn", at_s=at_s, attributes=attributes)
        return _remote(self.root, int(self.id, 16), span_id)


def plain(attributes: Attributes | None) -> dict[str, str | int | float | bool]:
    """As the library types them."""
    return {str(name): value for name, value in (attributes or {}).items()}


def derive_span_id(trace_id: str, item_id: str) -> int:
    digest = blake2b(f"{trace_id}:{item_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) or 1


def read_traceparent(header: str) -> SpanContext | None:
    """W3C Trace Context of a sampled trace; None for anything else."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None or not int(found[3], 16) & TraceFlags.SAMPLED:
        return None
    context = SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(1)
    )
    return context if context.is_valid else None


def remote_span(tracer: Tracer, context: SpanContext, clock: Clock) -> Span:
    """Another process's span, to have children here."""
    return Span(tracer, NonRecordingSpan(context), clock, frozenset())


def _remote(root: Span, trace_id: int, span_id: int) -> Span:
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(1))
    return remote_span(root._tracer, context, root._clock)
