"""Row 8.5: the rate of each end reason of a line is held against the line's own last week."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from penny.calls.store import CallStore
from penny.figures.ends import WINDOWS_MS, Ends, find_unusual, read_ends
from tests.penny.calls.calls import a_call


LINE, OTHER = ("acme", "phone", "+34910000000"), ("acme", "phone", "+34910000001")
WEEK: Ends = {
    LINE: Counter(client_gone=9_000, speaker_lost=100, handoff=900),
    OTHER: Counter(no_answer=600, client_gone=400),
}
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def unusual(*windows: Ends, week: Ends = WEEK) -> list[tuple[str, str, int]]:
    by_ms = dict(zip(WINDOWS_MS[::-1], windows, strict=False))
    return [(each.line[2], each.reason, each.minutes) for each in find_unusual(by_ms, week)]


@pytest.mark.pure
def test_a_reason_that_came_ten_times_as_often_is_told_with_its_shortest_window() -> None:
    quarter: Ends = {LINE: Counter(client_gone=90, speaker_lost=10)}
    assert unusual(quarter) == [(LINE[2], "speaker_lost", 15)]
    assert unusual(quarter, {LINE: Counter(speaker_lost=6, client_gone=9)}, {}) == [
        (LINE[2], "speaker_lost", 5)
    ]


@pytest.mark.pure
def test_what_is_usual_on_one_line_is_a_fault_on_another() -> None:
    ends = Counter(no_answer=30, client_gone=20)
    assert unusual({OTHER: ends}) == []
    assert unusual({LINE: ends}) == [(LINE[2], "no_answer", 15)]


@pytest.mark.pure
def test_few_calls_a_new_line_and_more_of_the_usual_are_no_alarm() -> None:
    assert unusual({LINE: Counter(speaker_lost=4)}) == []
    assert unusual({("acme", "ws", ""): Counter(speaker_lost=50)}) == []
    assert unusual({LINE: Counter(client_gone=500, speaker_lost=9)}) == []
    assert unusual({LINE: Counter(client_gone=500)}) == []


@pytest.mark.process
async def test_ends_are_read_by_the_houses_own_number_and_by_when_they_were(url: str) -> None:
    store = CallStore(url)
    now_ms = round(NOW.timestamp() * 1000)
    about = (
        ("inbound", "+34600000001", LINE[2], "phone", 2),
        ("outbound", LINE[2], "+34600000002", "phone", 10),
        ("inbound", "+34600000003", LINE[2], "phone", 20),
        ("inbound", "somebody", "", "ws", 3),
    )
    for number, (direction, caller, callee, edge, minutes_ago) in enumerate(about):
        call = a_call(number)
        call.direction, call.edge = direction, edge  # type: ignore[assignment]
        call.tenant, call.caller, call.callee = "acme", caller, callee
        call.end_reason = "speaker_lost"
        call.ended_at = NOW - timedelta(minutes=minutes_ago)
        call.started_at = call.ended_at - timedelta(minutes=4)
        await store.put(call)

    ends = await read_ends(store.database, now_ms - 900_000, now_ms, now_ms - 4_500_000)

    assert ends == {
        LINE: Counter(speaker_lost=2),
        ("acme", "ws", ""): Counter(speaker_lost=1),
    }
    await store.aclose()
