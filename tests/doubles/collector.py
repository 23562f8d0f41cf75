"""An OTLP/HTTP collector: a real socket, bodies read by OpenTelemetry's own protobuf classes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.doubles.http import serving


WAIT_S = 60.0


@dataclass(frozen=True)
class Seen:
    """One span as it arrived. Times in seconds (Unix)."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    starts_s: float
    ends_s: float
    failed: bool
    attributes: dict[str, Any] = field(default_factory=dict)


class Collector:
    """Takes spans, or hangs while ``hangs`` is set, or refuses with ``status``."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.bodies: list[bytes] = []
        self.attempts = 0
        self.hangs = False
        self.status = 200
        self.headers: list[dict[str, str]] = []
        self._news = asyncio.Event()
        self._released = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.read()
        self.headers.append(dict(request.headers))
        self._tell()
        if self.hangs:
            await self._released.wait()
        if self.status != 200:
            return web.Response(status=self.status)
        self.bodies.append(body)
        sent = ExportTraceServiceRequest.FromString(body)
        for resource in sent.resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_see(span, service) for span in scope.spans]
        self._tell()
        return web.Response(content_type="application/x-protobuf")

    def release(self) -> None:
        """Answer from now on, also who hangs already."""
        self.hangs = False
        self._released.set()

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def children(self, parent: Seen) -> set[str]:
        return {span.name for span in self.spans if span.parent_id == parent.span_id}

    async def until(self, ready: Any) -> None:
        """Wait for a state of this collector."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not ready():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"in vain; came: {[s.name for s in self.spans]}") from None

    def _tell(self) -> None:
        self._news.set()


def _see(span: Any, service: str) -> Seen:
    return Seen(
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        starts_s=span.start_time_unix_nano / 1e9,
        ends_s=span.end_time_unix_nano / 1e9,
        failed=span.status.code == 2,
        attributes=_values(span.attributes),
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """A collector, and its address as ``tracing.endpoint`` has it."""
    collector = Collector()
    async with serving({"POST /v1/traces": collector.take}) as url:
        yield collector, f"{url}/v1/traces"
