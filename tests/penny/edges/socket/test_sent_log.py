"""What a client missed comes back exactly, as long as it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.edges.player import Frame
from penny.edges.socket.sent_log import MAX_TEXT_BYTES, MAX_TEXTS, SentLog


pytestmark = pytest.mark.pure


@given(st.lists(st.booleans(), max_size=80), st.integers(min_value=0, max_value=80))
def test_what_was_missed_comes_back_in_order(texts: list[bool], received: int) -> None:
    log, sent = SentLog(10**6), list[str | bytes]()
    for number, is_text in enumerate(texts):
        data: str | bytes = str(number) if is_text else bytes([number])
        sent.append(data)
        if isinstance(data, str):
            log.add_text(data)
        else:
            log.add_audio(Frame(data, "item", 20.0))
    missed = log.since(received)
    if received > len(sent):
        assert missed is None
    else:
        assert missed is not None
        assert [message.data for message in missed] == sent[received:]


@given(st.integers(min_value=0, max_value=40), st.integers(min_value=0, max_value=20))
def test_the_oldest_audio_goes_first_and_no_text_with_it(frames: int, kept: int) -> None:
    log = SentLog(kept * 10)
    for number in range(frames):
        log.add_text(str(number))
        log.add_audio(Frame(bytes(10), "item", 20.0))
    missed = log.since(0)
    assert missed is not None
    assert [m.data for m in missed if isinstance(m.data, str)] == [str(n) for n in range(frames)]
    assert sum(isinstance(m.data, bytes) for m in missed) == min(kept, frames)
    assert log.dropped_frames == max(0, frames - kept)


def test_who_misses_a_text_that_is_gone_cannot_resume() -> None:
    log = SentLog(0)
    for number in range(MAX_TEXTS + 5):
        log.add_text(str(number))
    assert log.since(4) is None
    missed = log.since(5)
    assert missed is not None
    assert len(missed) == MAX_TEXTS


def test_texts_are_bounded_in_bytes_too() -> None:
    log = SentLog(0)
    for _ in range(5):
        log.add_text("x" * (MAX_TEXT_BYTES // 4))
    assert log.since(0) is None
    missed = log.since(1)
    assert missed is not None
    assert len(missed) == 4


FRAME = bytes(960)


def make_log(*items: str) -> SentLog:
    """Ten frames of 20 ms of each item."""
    log = SentLog(1_000_000)
    for item_id in items:
        for _ in range(10):
            log.add_audio(Frame(FRAME, item_id, 20.0))
    return log


def test_what_was_played_is_forgotten_and_the_rest_can_be_asked_for() -> None:
    log = make_log("a")

    log.forget_played("a", 100)

    missed = log.since(0)
    assert missed is not None
    assert [sent.number for sent in missed] == [6, 7, 8, 9, 10]


def test_playing_an_item_means_that_those_before_it_arrived() -> None:
    log = make_log("a", "b")

    log.forget_played("b", 20)

    missed = log.since(0)
    assert missed is not None
    assert [sent.number for sent in missed] == list(range(12, 21))


def test_a_report_of_an_item_that_is_not_kept_forgets_nothing() -> None:
    log = make_log("a")

    log.forget_played("other", 10_000)
    log.forget_played("a", 0)

    missed = log.since(0)
    assert missed is not None
    assert len(missed) == 10


def test_texts_stay_when_audio_is_played() -> None:
    log = make_log("a")
    log.add_text("{}")

    log.forget_played("a", 1_000)

    missed = log.since(0)
    assert missed is not None
    assert [sent.data for sent in missed] == ["{}"]
