"""What was heard by when, on a clock that the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penny.cli.player import Player, Report


RATE_HZ = 8000
MS = 16  # bytes of a millisecond


def playing(ms: int = 200, *, complete: bool = True) -> Player:
    player = Player(RATE_HZ)
    player.begin("a")
    player.feed(b"\1\0" * (ms * MS // 2))
    if complete:
        player.finish("a")
    return player


def test_audio_plays_no_faster_than_the_clock() -> None:
    player = playing(200)

    player.advance(50)

    assert len(player.heard()) == 50 * MS
    assert player.busy


def test_timeline_holds_silence_where_nothing_played() -> None:
    player = Player(RATE_HZ)
    player.advance(100)
    player.begin("a")
    player.feed(b"\1\0" * (20 * MS // 2))
    player.finish("a")

    player.advance(150)

    assert player.timeline == bytes(100 * MS) + b"\1\0" * (20 * MS // 2) + bytes(30 * MS)
    assert player.started_at_ms(["a"]) == 100


def test_report_comes_every_100_ms_and_once_at_the_end() -> None:
    player = playing(250)

    reports = [report for at in range(20, 400, 20) for report in player.advance(at)]

    assert reports == [Report("a", 100, False), Report("a", 200, False), Report("a", 250, True)]
    assert not player.busy


def test_item_that_waits_for_more_audio_is_not_over() -> None:
    player = playing(40, complete=False)

    assert player.advance(300) == []
    assert player.busy
    player.finish("a")
    assert player.advance(320) == [Report("a", 40, True)]


def test_drop_keeps_only_what_was_heard() -> None:
    player = playing(500)
    player.begin("b")
    player.feed(bytes(100 * MS))
    player.advance(130)

    reports = player.drop()

    assert reports == [Report("a", 130, True), Report("b", 0, True)]
    assert not player.busy
    player.feed(bytes(10 * MS))
    assert player.advance(500) == []
    assert len(player.heard()) == 130 * MS


def test_next_item_follows_without_a_gap() -> None:
    player = playing(30)
    player.begin("b")
    player.feed(b"\2\0" * (30 * MS // 2))
    player.finish("b")

    player.advance(60)

    assert player.timeline == b"\1\0" * (30 * MS // 2) + b"\2\0" * (30 * MS // 2)
    assert player.heard(["b"]) == b"\2\0" * (30 * MS // 2)


def test_audio_that_no_item_announced_is_dropped() -> None:
    player = Player(RATE_HZ)
    player.feed(bytes(100))

    player.advance(20)

    assert player.heard() == b""


@given(
    chunks=st.lists(st.integers(0, 400), max_size=12),
    steps=st.lists(st.integers(0, 90), min_size=1, max_size=40),
)
def test_heard_never_exceeds_received_nor_the_clock(chunks: list[int], steps: list[int]) -> None:
    player = Player(RATE_HZ)
    player.begin("a")
    now_ms = received = last = 0
    for number, step in enumerate(steps):
        if number < len(chunks):
            player.feed(bytes(2 * chunks[number]))
            received += 2 * chunks[number]
        now_ms += step
        reports = player.advance(now_ms)

        assert len(player.heard()) <= min(received, now_ms * MS)
        assert len(player.timeline) == now_ms * MS
        for report in reports:
            assert last <= report.played_ms <= len(player.heard()) // MS
            last = report.played_ms
