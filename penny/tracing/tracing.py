"""A process's tracing: opened once when the configuration asks for it, imported only then."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind

from penny import __version__
from penny.aio.allow_list import AllowList
from penny.tracing.attributes import Attributes
from penny.tracing.exporter import SpanCounter, build_processor
from penny.tracing.settings import TracingSettings
from penny.tracing.trace import Clock, Span, SpanIds, Trace, plain, read_traceparent, remote_span


LAST_SPANS_S = 2.0
"""What is still queued has this long to leave when the process ends."""
MAX_VALUE_CHARS = 128


class Tracing:
    """A process's OpenTelemetry provider: begins traces, and joins those of a gateway.

    Never the process-wide provider: no library's spans, and no header of its own making.

    Args:
        service: ``penny-gateway`` or ``penny-worker``.
        allowed: hosts that this process may reach; None allows all.
        loop_s: the loop's clock, seconds.
    """

    def __init__(
        self,
        settings: TracingSettings,
        service: str,
        allowed: AllowList | None,
        loop_s: Callable[[], float],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.spans = SpanCounter()
        self._ids = SpanIds()
        self._loop_s = loop_s
        self._wall_ns = wall_ns
        self._propagate_to = frozenset(settings.propagate_to)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
            resource=Resource.create({"service.name": service, "service.version": __version__}),
            id_generator=self._ids,
            span_limits=SpanLimits(max_span_attribute_length=MAX_VALUE_CHARS),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(build_processor(settings, self.spans.meters, allowed))
        self._tracer = self._provider.get_tracer("penny", __version__)

    def begin(self, attributes: Attributes) -> Trace | None:
        """A new session's trace; None for one that the sample leaves out."""
        clock = Clock(self._loop_s, self._wall_ns)
        otel = self._tracer.start_span(
            "session",
            context=Context(),
            kind=SpanKind.SERVER,
            attributes=plain(attributes),
            start_time=clock.ns(None),
        )
        if not otel.is_recording():
            return None
        root = Span(self._tracer, otel, clock, self._propagate_to)
        return Trace(root, self._ids, is_owner=True)

    def join(self, traceparent: str) -> Trace | None:
        """The trace of a gateway's session; None when it is none, or not sampled."""
        context = read_traceparent(traceparent)
        if context is None:
            return None
        root = remote_span(self._tracer, context, Clock(self._loop_s, self._wall_ns))
        return Trace(root, self._ids, is_owner=False)

    async def aclose(self) -> None:
        """Send what waits, for ``LAST_SPANS_S`` at most: a collector that hangs delays no exit."""
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, LAST_SPANS_S)
