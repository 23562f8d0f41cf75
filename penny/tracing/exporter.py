"""Spans to the collector: counted, told once when they do not arrive, never waited for.

The library's own log lines are kept from the log: one per batch for as long as a collector is
away would be a second outage.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from penny.aio.allow_list import AllowList
from penny.tracing.settings import TracingSettings


log = structlog.get_logger()

BATCH_SPANS = 64
"""Encoding holds the interpreter's lock for about 20 us a span: a batch must not delay audio."""
EVERY_MS = 1000.0
MAX_REQUEST_BYTES = 1024 * 1024


@dataclass(slots=True)
class SpanCounts:
    exported: int = 0
    failed: int = 0
    dropped: int = 0
    """Not kept: ``queue_spans`` waited already."""


class CollectorSession(requests.Session):
    """Reaches the collector and nobody else: no proxy, no redirect, no credentials from files."""

    def __init__(self, allowed: AllowList | None) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = 0  # one is an error: the exporter would take it for success
        self._allowed = allowed

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        if self._allowed is not None:
            parts = urlsplit(request.url or "")
            self._allowed.check(str(parts.hostname), parts.port)
        options["allow_redirects"] = False
        return super().send(request, **options)


class CountedExporter(SpanExporter):
    """The official exporter; an outage is logged when it begins and when it is over."""

    def __init__(self, inner: SpanExporter, counts: SpanCounts, endpoint: str) -> None:
        self._inner = inner
        self._counts = counts
        self._endpoint = endpoint
        self._failing = False
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        reason = ""
        try:
            result = self._inner.export(spans)
        except Exception as error:
            result, reason = SpanExportResult.FAILURE, type(error).__name__
        if result is SpanExportResult.SUCCESS:
            self._counts.exported += len(spans)
            if self._failing:
                self._failing = False
                log.info("traces_exported_again", endpoint=self._endpoint)
        else:
            self._counts.failed += len(spans)
            if not self._failing:
                self._failing = True
                log.warning("traces_not_exported", endpoint=self._endpoint, reason=reason or None)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class BoundedProcessor(BatchSpanProcessor):
    """The official batch processor, with its drops counted. The oldest span goes first."""

    def __init__(self, exporter: CountedExporter, counts: SpanCounts, queue_spans: int) -> None:
        self._exporter = exporter
        self._counts = counts
        self._queue_spans = queue_spans
        self._kept = 0
        super().__init__(
            exporter,
            max_queue_size=queue_spans,
            schedule_delay_millis=EVERY_MS,
            max_export_batch_size=min(BATCH_SPANS, queue_spans),
        )

    def on_end(self, span: ReadableSpan) -> None:
        if self._kept - self._exporter.taken >= self._queue_spans:
            self._counts.dropped += 1
        else:
            self._kept += 1
        super().on_end(span)


def build_processor(
    settings: TracingSettings,
    counts: SpanCounts,
    allowed: AllowList | None,
    headers: Mapping[str, str] | None = None,
) -> BoundedProcessor:
    """Starts the thread that sends; nothing is connected yet."""
    library = logging.getLogger("opentelemetry")
    library.addHandler(logging.NullHandler())
    library.propagate = False
    exporter = OTLPSpanExporter(
        endpoint=settings.endpoint,
        headers=dict(headers) if headers is not None else None,
        timeout=settings.timeout_s,
        session=CollectorSession(allowed),
        max_request_size=MAX_REQUEST_BYTES,
    )
    told = urlsplit(settings.endpoint)
    address = f"{told.scheme}://{told.hostname}:{told.port or ''}"
    counted = CountedExporter(exporter, counts, address)
    return BoundedProcessor(counted, counts, settings.queue_spans)
