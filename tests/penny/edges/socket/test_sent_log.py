from __future__ import annotations

from penny.edges.socket.sent_log import SentLog


FRAME = bytes(960)


def make_log(*items: str) -> SentLog:
    """Ten frames of 20 ms of each item."""
    log = SentLog(1_000_000)
    for item_id in items:
        for _ in range(10):
            log.add_audio(FRAME, item_id, 20.0)
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
