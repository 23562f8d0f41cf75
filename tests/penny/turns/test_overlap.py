from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.turns.overlap import Overlap, takes_floor


pytestmark = pytest.mark.pure

LEAST_MS = 900
SPOKEN = "Su factura vence el quince de enero y suma ochenta euros."


def judged(
    speech_ms: int, quiet_ms: int = 0, words: str = "", level_db: float = 0.0, at_ms: int = 0
) -> str:
    now_ms = at_ms or speech_ms + quiet_ms
    return Overlap(96, LEAST_MS).judge(now_ms, speech_ms, quiet_ms, level_db, words, SPOKEN)


@pytest.mark.parametrize("words", ["Ajá.", "sí, sí", "Mmm...", "Vale", "De acuerdo.", "uh-huh", ""])
def test_words_that_encourage_take_no_floor(words: str) -> None:
    assert not takes_floor(words)


@pytest.mark.parametrize("words", ["No.", "Espera", "sí, pero no es eso", "para", "¿Cómo?", "stop"])
def test_words_meant_for_the_agent_take_it(words: str) -> None:
    assert takes_floor(words, SPOKEN)


def test_the_agents_own_last_words_take_no_floor() -> None:
    assert not takes_floor("vence el quince de enero", SPOKEN)
    assert takes_floor("¿el quince de febrero?", SPOKEN)


def test_a_short_sound_is_decided_once_the_caller_is_quiet() -> None:
    assert judged(350, 0) == "open"
    assert judged(350, 100) == "open", "a gap between two words"
    assert judged(350, 200) == "resume"


def test_speech_interrupts_by_its_length_or_by_its_words() -> None:
    assert judged(LEAST_MS - 32) == "open"
    assert judged(LEAST_MS) == "interruption"
    assert judged(350, 320, "Espera.") == "interruption"
    assert judged(350, 320, "Ajá.") == "resume"


def test_speech_far_from_the_telephone_never_interrupts() -> None:
    assert judged(3000, level_db=-12.0) == "resume"
    assert judged(600, 300, "Ponme otro café", level_db=-12.0) == "resume"


def test_what_may_be_an_echo_interrupts_no_sooner_when_it_sounds_again() -> None:
    overlap = Overlap(96, LEAST_MS)
    assert overlap.judge(700, 300, 300, 0.0, "", SPOKEN, may_be_echo=True) == "resume"
    assert overlap.judge(1000, 560, 0, 0.0, "", SPOKEN, may_be_echo=True) == "open"
    assert overlap.judge(1400, LEAST_MS, 0, 0.0, "", SPOKEN, may_be_echo=True) == "interruption"


def test_who_goes_on_after_a_backchannel_interrupts_sooner() -> None:
    overlap = Overlap(96, LEAST_MS)
    assert overlap.judge(700, 300, 300, 0.0, "Sí.", SPOKEN) == "resume"
    assert overlap.judge(800, 400, 0, 0.0, "Sí.", SPOKEN) == "open"
    assert overlap.judge(1000, 560, 0, 0.0, "Sí.", SPOKEN) == "interruption"


@given(st.text(), st.text())
def test_any_text_is_judged(words: str, spoken: str) -> None:
    assert takes_floor(words, spoken) in (True, False)
