"""What a client missed comes back exactly, as long as it is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penny.edges.socket.sent_log import MAX_TEXTS, SentLog


@given(st.lists(st.booleans(), max_size=80), st.integers(min_value=0, max_value=80))
def test_what_was_missed_comes_back_in_order(texts: list[bool], received: int) -> None:
    log, sent = SentLog(10**6), list[str | bytes]()
    for number, is_text in enumerate(texts):
        data: str | bytes = str(number) if is_text else bytes([number])
        sent.append(data)
        if isinstance(data, str):
            log.add_text(data)
        else:
            log.add_audio(data, "item", 20.0)
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
        log.add_audio(bytes(10), "item", 20.0)
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
