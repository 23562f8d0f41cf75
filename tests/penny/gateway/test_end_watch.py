"""Row 8.5 at the gateway: an unusual end is told once, counted while it lasts, then told over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from penny.calls.store import CallStore
from penny.gateway.end_watch import EndWatch
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CallStore]:
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    yield store
    await store.aclose()


async def end(store: CallStore, number: int, reason: str, at: datetime) -> None:
    call = a_call(number)
    call.edge, call.tenant, call.callee, call.end_reason = "phone", "acme", "+34910000000", reason
    call.direction, call.ended_at, call.started_at = "inbound", at, at - timedelta(minutes=1)
    await store.put(call)


async def test_8_5_a_line_that_loses_its_calls_is_told_once_and_when_it_is_over(
    store: CallStore,
) -> None:
    for number in range(120):
        await end(store, number, "client_gone", NOW - timedelta(hours=number + 1))
    for number in range(200, 206):
        await end(store, number, "speaker_lost", NOW - timedelta(minutes=3))
    now = NOW
    watch = EndWatch(store, lambda: now.timestamp(), 3600.0)

    with capture_logs() as logs:
        await watch.look()
        await watch.look()

    (told,) = logs
    assert told == {
        "event": "call_ends_unusual", "log_level": "error", "tenant": "acme", "edge": "phone",
        "line": "+34910000000", "reason": "speaker_lost", "count": 6, "calls": 6, "minutes": 5,
        "usual": pytest.approx(1 / 122, abs=1e-4),
    }  # fmt: skip
    ((sample,),) = [family.samples for family in watch.collect()]
    assert (sample.labels["reason"], sample.value) == ("speaker_lost", 1.0)

    now = NOW + timedelta(minutes=30)
    with capture_logs() as logs:
        await watch.look()
    assert [each["event"] for each in logs] == ["call_ends_usual"]
    assert [family.samples for family in watch.collect()] == [[]]
