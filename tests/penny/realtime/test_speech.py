"""Words cut by the audio that carried them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.realtime.speech import BYTES_PER_MS, Speech


pytestmark = pytest.mark.pure


def say(*phrases: tuple[str, int]) -> Speech:
    speech = Speech()
    for text, ms in phrases:
        speech.add_words(text)
        speech.add_audio(ms * BYTES_PER_MS)
    return speech


def cut(speech: Speech, ms: int) -> str:
    speech.truncate(ms)
    return speech.heard_text()


def test_a_cut_at_a_phrases_end_keeps_exactly_that_phrase() -> None:
    phrases = ("Su factura vence el lunes. ", 1500), ("¿Desea pagar?", 800)
    assert cut(say(*phrases), 1500) == "Su factura vence el lunes. "


def test_a_cut_inside_a_phrase_keeps_whole_words_by_proportion() -> None:
    assert cut(say(("aaaa bbbb cccc dddd", 1900), ("fin", 300)), 1000) == "aaaa bbbb"
    assert cut(say(("aaaa bbbb cccc dddd", 1900), ("fin", 300)), 890) == "aaaa"


def test_a_cut_inside_audio_without_words_keeps_none() -> None:
    speech = Speech()
    speech.add_audio(1000 * BYTES_PER_MS)
    assert cut(speech, 500) == ""


def test_words_announced_in_pieces_before_their_audio_are_one_phrase() -> None:
    speech = say(("Hola ", 0), ("buenos ", 0), ("días", 1000))
    speech.finish()
    assert cut(speech, 700) == "Hola buenos"


def test_a_phrase_broken_off_is_measured_by_the_pace_before_it() -> None:
    # Ten characters a second so far: after one second ten of the twenty were said.
    speech = say(("aaaa bbbb ", 1000), ("cccc dddd eeee ffff ", 1000))
    assert speech.heard_text() == "aaaa bbbb cccc dddd"


def test_words_whose_audio_never_came_were_not_heard() -> None:
    speech = say(("Uno ", 500))
    speech.add_words("dos tres")
    assert speech.heard_text() == "Uno "
    silent = say(("nada", 0))
    silent.finish()
    assert silent.heard_text() == ""


def test_a_finished_answer_is_heard_whole_with_its_last_mark() -> None:
    speech = say(("Uno ", 500))
    speech.add_words("!")
    speech.finish()
    assert speech.heard_text() == "Uno !"
    assert cut(speech, 500) == "Uno !"


def test_a_cut_at_the_last_whole_millisecond_keeps_the_last_word() -> None:
    speech = Speech()
    speech.add_words("Hola mundo")
    speech.add_audio(1000 * BYTES_PER_MS + 46)
    speech.finish()
    assert cut(speech, speech.audio_ms) == "Hola mundo"


PHRASES = st.lists(
    st.tuples(st.text("ab ñ¿", max_size=12), st.integers(0, 400)), min_size=1, max_size=6
)


@given(PHRASES, st.booleans(), st.lists(st.integers(0, 3000), min_size=1, max_size=4))
def test_heard_is_a_prefix_and_never_more_than_was_sent(
    phrases: list[tuple[str, int]], finished: bool, cuts: list[int]
) -> None:
    speech = say(*phrases)
    if finished:
        speech.finish()
    before = speech.heard_text()
    assert speech.text.startswith(before)
    for ms in cuts:
        kept = speech.truncate(ms)
        assert kept == speech.heard_ms <= min(ms, speech.audio_ms)
        after = speech.heard_text()
        assert before.startswith(after)
        before = after


@given(PHRASES, st.integers(0, 2000), st.integers(0, 2000))
def test_hearing_longer_never_hears_fewer_words(
    phrases: list[tuple[str, int]], one: int, other: int
) -> None:
    short, long = sorted((one, other))
    assert cut(say(*phrases), long).startswith(cut(say(*phrases), short))


def test_audio_before_any_word_carries_no_words() -> None:
    speech = Speech()
    speech.add_audio(100 * BYTES_PER_MS)
    speech.add_words("Hola")
    speech.add_audio(400 * BYTES_PER_MS)
    speech.finish()
    assert cut(speech, 100) == ""
