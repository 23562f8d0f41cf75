"""What was heard by when, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.cli.loudspeaker import Loudspeaker, Report


pytestmark = pytest.mark.pure


RATE_HZ = 8000
MS = 16  # bytes of a millisecond


def playing(ms: int = 200, *, complete: bool = True) -> Loudspeaker:
    loudspeaker = Loudspeaker(RATE_HZ)
    loudspeaker.begin("a")
    loudspeaker.feed(b"\1\0" * (ms * MS // 2))
    if complete:
        loudspeaker.finish("a")
    return loudspeaker


def test_audio_plays_no_faster_than_the_clock() -> None:
    loudspeaker = playing(200)

    loudspeaker.advance(50)

    assert len(loudspeaker.heard()) == 50 * MS
    assert loudspeaker.busy


def test_timeline_holds_silence_where_nothing_played() -> None:
    loudspeaker = Loudspeaker(RATE_HZ)
    loudspeaker.advance(100)
    loudspeaker.begin("a")
    loudspeaker.feed(b"\1\0" * (20 * MS // 2))
    loudspeaker.finish("a")

    loudspeaker.advance(150)

    assert loudspeaker.timeline == bytes(100 * MS) + b"\1\0" * (20 * MS // 2) + bytes(30 * MS)
    assert loudspeaker.started_at_ms(["a"]) == 100


def test_report_comes_every_100_ms_and_once_at_the_end() -> None:
    loudspeaker = playing(250)

    reports = [report for at in range(20, 400, 20) for report in loudspeaker.advance(at)]

    assert reports == [Report("a", 100, False), Report("a", 200, False), Report("a", 250, True)]
    assert not loudspeaker.busy


def test_item_that_waits_for_more_audio_is_not_over() -> None:
    loudspeaker = playing(40, complete=False)

    assert loudspeaker.advance(300) == []
    assert loudspeaker.busy
    loudspeaker.finish("a")
    assert loudspeaker.advance(320) == [Report("a", 40, True)]


def test_drop_keeps_only_what_was_heard() -> None:
    loudspeaker = playing(500)
    loudspeaker.begin("b")
    loudspeaker.feed(bytes(100 * MS))
    loudspeaker.advance(130)

    reports = loudspeaker.drop()

    assert reports == [Report("a", 130, True), Report("b", 0, True)]
    assert not loudspeaker.busy
    loudspeaker.feed(bytes(10 * MS))
    assert loudspeaker.advance(500) == []
    assert len(loudspeaker.heard()) == 130 * MS


def test_next_item_follows_without_a_gap() -> None:
    loudspeaker = playing(30)
    loudspeaker.begin("b")
    loudspeaker.feed(b"\2\0" * (30 * MS // 2))
    loudspeaker.finish("b")

    loudspeaker.advance(60)

    assert loudspeaker.timeline == b"\1\0" * (30 * MS // 2) + b"\2\0" * (30 * MS // 2)
    assert loudspeaker.heard(["b"]) == b"\2\0" * (30 * MS // 2)


def test_audio_that_no_item_announced_is_dropped() -> None:
    loudspeaker = Loudspeaker(RATE_HZ)
    loudspeaker.feed(bytes(100))

    loudspeaker.advance(20)

    assert loudspeaker.heard() == b""


@given(
    chunks=st.lists(st.integers(0, 400), max_size=12),
    steps=st.lists(st.integers(0, 90), min_size=1, max_size=40),
)
def test_heard_never_exceeds_received_nor_the_clock(chunks: list[int], steps: list[int]) -> None:
    loudspeaker = Loudspeaker(RATE_HZ)
    loudspeaker.begin("a")
    now_ms = received = last = 0
    for number, step in enumerate(steps):
        if number < len(chunks):
            loudspeaker.feed(bytes(2 * chunks[number]))
            received += 2 * chunks[number]
        now_ms += step
        reports = loudspeaker.advance(now_ms)

        assert len(loudspeaker.heard()) <= min(received, now_ms * MS)
        assert len(loudspeaker.timeline) == now_ms * MS
        for report in reports:
            assert last <= report.played_ms <= len(loudspeaker.heard()) // MS
            last = report.played_ms
