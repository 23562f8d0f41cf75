from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.turns.heard import HeardText


pytestmark = pytest.mark.pure


def phrases() -> HeardText:
    text = HeardText()
    for delta, ms in (("Claro. ", 500), ("Abrimos a ", 0), ("las nueve.", 1000)):
        text.text(delta)
        text.audio(ms)
    return text


def test_audio_belongs_to_the_phrase_before_it() -> None:
    text = phrases()

    assert text.heard(420) == ""
    assert text.heard(500) == "Claro."
    assert text.heard(900) == "Claro. Abrimos"
    assert text.heard(1499) == "Claro. Abrimos a las"
    assert text.heard(1500) == text.spoken == "Claro. Abrimos a las nueve."


def test_a_word_cut_short_is_not_heard() -> None:
    text = HeardText()
    text.text("buenas noches")
    text.audio(1300)

    assert text.heard(500) == ""
    assert text.heard(600) == text.heard(1200) == "buenas"
    assert text.cut(1200) == " noches"


def test_text_whose_audio_has_not_come_is_not_heard() -> None:
    text = phrases()
    text.text(" Hasta luego.")

    assert text.heard(99_999) == "Claro. Abrimos a las nueve."
    assert text.cut(99_999) == " Hasta luego."


def test_a_word_split_between_phrases_is_heard_whole_or_not_at_all() -> None:
    text = HeardText()
    for delta in ("buenas no", "ches"):
        text.text(delta)
        text.audio(100)

    assert text.heard(100) == "buenas"
    assert text.heard(200) == "buenas noches"


def test_all_text_before_all_audio_is_spread_evenly() -> None:
    text = HeardText()
    for delta in ("uno ", "dos ", "tres"):
        text.text(delta)
    text.audio(600)
    text.audio(600)

    assert text.heard(700) == "uno dos"


def test_audio_before_its_text_is_spread_evenly_over_all_of_it() -> None:
    text = HeardText()
    for delta in ("uno ", "dos ", "tres"):
        text.audio(400)
        text.text(delta)

    assert [text.heard(ms) for ms in (0, 399, 400, 800, 1200)] == [
        "",
        "uno",
        "uno",
        "uno dos",
        "uno dos tres",
    ]


def test_nothing_is_heard_of_nothing() -> None:
    text = HeardText()
    assert text.heard(100) == text.cut(100) == ""

    text.text("")
    text.text("hola")
    text.audio(0)
    assert text.heard(100) == text.heard(-1) == ""
    assert text.cut(-1) == "hola"


def test_negative_audio_is_refused() -> None:
    with pytest.raises(ValueError, match="ms: -1 is negative"):
        HeardText().audio(-1)


arrivals = st.lists(st.text("ab \n", max_size=8) | st.integers(0, 500))


@given(arrivals, st.lists(st.floats(-10, 5000)))
def test_heard_and_cut_are_the_whole_and_grow_with_playback(
    stream: list[str | int], positions_ms: list[float]
) -> None:
    text = HeardText()
    for arrival in stream:
        if isinstance(arrival, str):
            text.text(arrival)
        else:
            text.audio(arrival)
    whole = "".join(arrival for arrival in stream if isinstance(arrival, str))

    before = ""
    for ms in sorted(positions_ms):
        heard, cut = text.heard(ms), text.cut(ms)
        assert heard + cut == whole
        assert heard.startswith(before)
        assert heard.rstrip() == heard
        assert not heard or not cut or cut[0].isspace()
        before = heard
