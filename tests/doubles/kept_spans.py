"""A trace whose spans stay in this process, on a clock that the test moves."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penny.tracing.trace import Clock, Span, SpanIds, Trace


class KeptSpans:
    """``trace`` is the gateway's; what ended is in ``ended``, times in seconds of ``now_s``."""

    def __init__(self, propagate_to: frozenset[str] = frozenset()) -> None:
        self.now_s = 0.0
        ids = SpanIds()
        provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
        self._memory = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._memory))
        tracer = provider.get_tracer("test")
        clock = Clock(lambda: self.now_s, lambda: 0)
        root = tracer.start_span("session", context=Context(), start_time=0)
        self.trace = Trace(Span(tracer, root, clock, propagate_to), ids, is_owner=True)

    @property
    def ended(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._memory.get_finished_spans()}

    def all(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._memory.get_finished_spans() if span.name == name]

    def times(self, name: str) -> tuple[float, float]:
        span = self.ended[name]
        assert span.start_time is not None
        assert span.end_time is not None
        return span.start_time / 1e9, span.end_time / 1e9
