from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.turns.endpointing import WAITS, Eagerness, Endpointing


pytestmark = pytest.mark.pure


SEMANTIC = Endpointing("semantic_vad")
TOLD, OPEN, PLAIN = "¿A qué hora abren?", "quiero ir a", "mañana por la tarde"


def test_server_vad_waits_a_fixed_time() -> None:
    endpointing = Endpointing("server_vad", silence_duration_ms=200)

    assert endpointing.silence_ms(2000, [400], OPEN, 0.0) == 200


def test_finished_words_shorten_and_open_words_lengthen() -> None:
    finished, unknown, cut = (SEMANTIC.silence_ms(2000, [], text) for text in (TOLD, PLAIN, OPEN))

    assert (finished, unknown, cut) == (240, 600, 1500)


def test_without_words_the_base_is_waited() -> None:
    assert SEMANTIC.silence_ms(2000, [], "") == 600


def test_eagerness_orders_every_wait_and_auto_is_medium() -> None:
    for text in (TOLD, PLAIN, OPEN):
        high, medium, low, auto = (
            Endpointing("semantic_vad", eagerness=eagerness).silence_ms(2000, [], text)
            for eagerness in ("high", "medium", "low", "auto")
        )
        assert high < medium < low
        assert auto == medium


def test_a_turn_model_moves_the_wait_where_words_tell_nothing() -> None:
    waits = [SEMANTIC.silence_ms(2000, [], PLAIN, p) for p in (1.0, 0.9, 0.8, 0.5, 0.25, 0.0)]

    assert waits == [600, 600, 900, 1091, 1398, 1500], "all the way up to the cap"


def test_a_full_stop_alone_tells_nothing() -> None:
    assert SEMANTIC.silence_ms(2000, [], "Quiero una habitación doble.") == 600
    assert SEMANTIC.silence_ms(2000, [], "Quiero una habitación doble.", 0.01) > 1450


def test_words_without_the_mark_that_their_recogniser_sets_are_waited_for() -> None:
    assert SEMANTIC.silence_ms(2000, [], "La conferencia comienza", 0.9) == 1398
    assert SEMANTIC.silence_ms(2000, [], "la conferencia comienza", 0.96) == 600
    assert SEMANTIC.silence_ms(2000, [], "Hola") == 240


def test_closing_words_that_sound_open_are_weighed() -> None:
    assert SEMANTIC.silence_ms(2000, [], "Gracias.", 0.25) == 1398
    assert SEMANTIC.silence_ms(2000, [], "Gracias.", 0.9) == 240
    assert SEMANTIC.silence_ms(2000, [], "Muchas gracias.", 0.96) == 600


def test_words_that_leave_open_outweigh_the_model_and_it_outweighs_finished_ones() -> None:
    assert SEMANTIC.silence_ms(2000, [], TOLD, 0.1) == 600
    assert SEMANTIC.silence_ms(2000, [], TOLD, 0.9) == 240
    assert SEMANTIC.silence_ms(2000, [], OPEN, 0.9) == 1500
    assert SEMANTIC.silence_ms(2000, [], OPEN, 0.1) == 1500


def test_a_turn_model_is_not_believed_on_little_speech() -> None:
    assert SEMANTIC.silence_ms(300, [], PLAIN, 0.0) == 600


def test_a_caller_who_pauses_gets_more_time_up_to_the_cap() -> None:
    assert SEMANTIC.silence_ms(2000, [200, 520], PLAIN) == 650
    assert SEMANTIC.silence_ms(2000, [1400], PLAIN) == 1500
    assert SEMANTIC.silence_ms(2000, [480], TOLD) == 240


def test_bad_values_name_field_and_remedy() -> None:
    bad: list[dict[str, Any]] = [
        {"kind": "none"},
        {"eagerness": "eager"},
        {"silence_duration_ms": 0},
    ]
    for fields in bad:
        with pytest.raises(ValueError, match=next(iter(fields))):
            Endpointing(**fields)


@given(
    st.sampled_from(list(WAITS)),
    st.integers(0, 60_000),
    st.lists(st.integers(0, 60_000), max_size=5),
    st.sampled_from([TOLD, OPEN, PLAIN, "", "…"]),
    st.none() | st.floats(0, 1),
)
def test_no_wait_leaves_its_bounds(
    eagerness: Eagerness, speech_ms: int, pauses_ms: list[int], text: str, model: float | None
) -> None:
    endpointing = Endpointing("semantic_vad", eagerness=eagerness)

    wait_ms = endpointing.silence_ms(speech_ms, pauses_ms, text, model)

    assert WAITS[eagerness].finished_ms <= wait_ms <= WAITS[eagerness].cap_ms
