"""What reaches the collector, what does not, and how often that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import requests
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from penny.aio.allow_list import AllowList, EgressRefused
from penny.tracing.exporter import BoundedProcessor, CollectorSession, CountedExporter, SpanCounts
from tests.doubles.http import serving
from tests.doubles.kept_spans import KeptSpans


class Scripted(SpanExporter):
    def __init__(self, *results: SpanExportResult | Exception) -> None:
        self._results = list(results)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def shutdown(self) -> None: ...


def ended_span() -> ReadableSpan:
    kept = KeptSpans()
    kept.trace.start("work").end()
    return kept.ended["work"]


def test_an_outage_is_told_when_it_begins_and_when_it_is_over() -> None:
    failure, success = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    counts = SpanCounts()
    inner = Scripted(failure, OSError("canario"), failure, success, success, failure)
    exporter = CountedExporter(inner, counts, "http://127.0.0.1:4318")
    with capture_logs() as lines:
        for _ in range(6):
            exporter.export([ended_span()])
    assert [line["event"] for line in lines] == [
        "traces_not_exported",
        "traces_exported_again",
        "traces_not_exported",
    ]
    assert (counts.exported, counts.failed) == (2, 4)
    assert "canario" not in str(lines)


def test_what_the_queue_has_no_room_for_is_counted() -> None:
    counts = SpanCounts()
    exporter = CountedExporter(Scripted(*[SpanExportResult.SUCCESS] * 9), counts, "")
    processor = BoundedProcessor(exporter, counts, 8)
    processor._batch_processor._export_lock.acquire()  # the sending thread is busy elsewhere
    try:
        span = ended_span()
        for _ in range(20):
            processor.on_end(span)
        assert counts.dropped == 12
    finally:
        processor._batch_processor._export_lock.release()
    processor.shutdown()
    assert counts.exported == 8


async def test_no_proxy_no_redirect_and_no_other_host_gets_spans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[str] = []

    async def move(request: web.Request) -> web.Response:
        moved.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async def elsewhere(request: web.Request) -> web.Response:
        moved.append(request.path)
        return web.Response()

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving({"POST /v1/traces": move, "POST /elsewhere": elsewhere}) as url:
        session = CollectorSession(AllowList())
        with pytest.raises(requests.TooManyRedirects):
            await asyncio.to_thread(session.post, f"{url}/v1/traces", data=b"x", timeout=5)
        assert moved == ["/v1/traces"]
        with pytest.raises(EgressRefused):
            session.send(requests.Request("POST", "http://collector.example/v1").prepare())
        session.close()
