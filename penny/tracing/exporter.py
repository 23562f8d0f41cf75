"""OpenTelemetry's batch processor and OTLP/HTTP exporter, set up for Penny; and their counters.

Nothing waits for the collector: spans are sent by the processor's own thread, and when
``queue_spans`` wait already the oldest is dropped.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from penny.aio.allow_list import AllowList
from penny.tracing.settings import TracingSettings


log = structlog.get_logger()

BATCH_SPANS = 64
"""Encoding holds the interpreter's lock for about 20 us a span: a batch must not delay audio."""
EVERY_MS = 1000.0
MAX_REQUEST_BYTES = 1024 * 1024
RETRIED = frozenset({429, 502, 503, 504})
"""Answers after which the exporter tries again, as OTLP/HTTP has it
(https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes)."""
TOLD_EVERY_S = 600.0
"""An outage of the collector is logged this often while it lasts, not once a batch."""


class CollectorSession(requests.Session):
    """HTTP session that reaches the collector alone: no proxy, no redirect, no credentials from
    files.

    A host that ``allowed`` does not name raises ``EgressRefused``, an answer that is not a success
    a ``requests.RequestException``.
    """

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
        response = super().send(request, **options)
        # Raised, not returned: the exporter's counter knows only exceptions as failures.
        if response.status_code in RETRIED:
            raise requests.ConnectionError(f"HTTP {response.status_code}")
        response.raise_for_status()
        return response


class SpanCounter:
    """OpenTelemetry's own counters of spans (its ``otel.sdk.*`` metrics), read on request."""

    def __init__(self) -> None:
        # The SDK counts itself only where this is set when processor and exporter are made.
        os.environ[OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED] = "true"
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def read(self) -> dict[str, int]:
        """Spans by outcome since the start: ``exported``, ``failed``, ``dropped``."""
        counts = {"exported": 0, "failed": 0, "dropped": 0}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                for point in metric.data.data_points:
                    if not isinstance(point, NumberDataPoint):
                        continue
                    failed = bool((point.attributes or {}).get("error.type"))
                    if metric.name == "otel.sdk.exporter.span.exported":
                        counts["failed" if failed else "exported"] += int(point.value)
                    elif metric.name == "otel.sdk.processor.span.processed" and failed:
                        counts["dropped"] += int(point.value)
        return counts


class OutageLog(logging.Handler):
    """Log handler for OpenTelemetry's loggers: reports an outage, with the message's template
    only. What the library would say of each batch of a long outage is left out."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock_s = clock_s
        self._told_s = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        now_s = self._clock_s()
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            log.warning("traces_not_exported", reason=str(record.msg))


def build_processor(
    settings: TracingSettings,
    meters: MeterProvider,
    allowed: AllowList | None,
    headers: Mapping[str, str] | None = None,
) -> BatchSpanProcessor:
    """Starts the thread that sends; nothing is connected yet."""
    library = logging.getLogger("opentelemetry")
    library.handlers = [OutageLog()]
    library.propagate = False
    exporter = OTLPSpanExporter(
        endpoint=settings.endpoint,
        headers=dict(headers) if headers is not None else None,
        timeout=settings.timeout_s,
        session=CollectorSession(allowed),
        max_request_size=MAX_REQUEST_BYTES,
        meter_provider=meters,
    )
    return BatchSpanProcessor(
        exporter,
        max_queue_size=settings.queue_spans,
        schedule_delay_millis=EVERY_MS,
        max_export_batch_size=min(BATCH_SPANS, settings.queue_spans),
        meter_provider=meters,
    )
