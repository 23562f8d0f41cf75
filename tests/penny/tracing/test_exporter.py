"""What reaches the collector, what does not, and how often that is told."""

from __future__ import annotations

import asyncio
import logging

import pytest
import requests
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan
from structlog.testing import capture_logs

from penny.aio.allow_list import AllowList, EgressRefused
from penny.tracing.exporter import (
    TOLD_EVERY_S,
    CollectorSession,
    OutageLog,
    SpanCounter,
    build_processor,
)
from penny.tracing.settings import TracingSettings
from tests.doubles.collector import collecting
from tests.doubles.http import serving
from tests.doubles.kept_spans import KeptSpans


pytestmark = pytest.mark.socket


def ended_span() -> ReadableSpan:
    kept = KeptSpans()
    kept.trace.start("work").end()
    return kept.ended["work"]


def failure(words: str) -> logging.LogRecord:
    template = "Failed to export %s"
    return logging.LogRecord("opentelemetry.x", logging.ERROR, "", 0, template, (words,), None)


def test_an_outage_is_logged_now_and_then_and_without_what_the_library_quotes() -> None:
    times = iter((0.0, 1.0, TOLD_EVERY_S - 1, TOLD_EVERY_S))
    handler = OutageLog(lambda: next(times))
    with capture_logs() as lines:
        for _ in range(4):
            handler.handle(failure("canario"))
    assert [line["event"] for line in lines] == ["traces_not_exported"] * 2
    assert "canario" not in str(lines)


async def test_spans_are_counted_by_opentelemetry_itself() -> None:
    async with collecting() as (collector, endpoint):
        counter = SpanCounter()
        settings = TracingSettings(endpoint=endpoint, queue_spans=64, timeout_s=1.0)
        processor = build_processor(settings, counter.meters, AllowList())
        span = ended_span()
        for _ in range(3):
            processor.on_end(span)
        await asyncio.to_thread(processor.force_flush)
        assert counter.read() == {"exported": 3, "failed": 0, "dropped": 0}
        for failed, status in enumerate((400, 401, 503), start=1):
            collector.status = status
            processor.on_end(span)
            await asyncio.to_thread(processor.force_flush)
            assert counter.read() == {"exported": 3, "failed": failed, "dropped": 0}

        collector.status, collector.hangs = 200, True
        attempts = collector.attempts
        for _ in range(64):
            processor.on_end(span)
        await collector.until(lambda: collector.attempts > attempts)  # the sending thread waits
        for _ in range(64 + 7):
            processor.on_end(span)
        assert counter.read()["dropped"] == 7
        collector.release()
        await asyncio.to_thread(processor.shutdown)


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
            await asyncio.to_thread(session.post, f"{url}/v1/traces", data=b"x", timeout=60)
        assert moved == ["/v1/traces"]
        with pytest.raises(EgressRefused):
            session.send(requests.Request("POST", "http://collector.example/v1").prepare())
        session.close()
