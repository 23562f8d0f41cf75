"""When the brain analyses."""

from __future__ import annotations

import pytest

from brain.brain import Schedule
from config.brain import BrainSection


pytestmark = pytest.mark.pure


def test_a_turn_that_pauses_is_analysed_early_once() -> None:
    schedule = Schedule(BrainSection(partial_words=4, partial_debounce_ms=250))
    assert schedule.partial("uno dos tres", 1, 1.0) is None
    assert schedule.partial("uno dos tres cuatro", 1, 1.0) == 1.25
    schedule.began_early("uno dos tres cuatro", 1)
    assert schedule.partial("uno dos tres cuatro cinco seis", 1, 2.0) is None


def test_the_final_words_are_analysed_unless_the_early_ones_were_as_good_as_all() -> None:
    for final, wanted in [
        ("Uno dos tres cuatro.", False),
        ("uno dos tres cuatro cinco seis", False),
    ]:
        schedule = Schedule(BrainSection(partial_words=4))
        schedule.began_early("uno dos tres cuatro", 1)
        assert schedule.final(final, 1, "") is wanted
    schedule = Schedule(BrainSection(partial_words=4))
    schedule.began_early("uno dos tres cuatro", 1)
    assert schedule.final("uno dos tres cinco", 1, "")
    assert not schedule.final("uno dos tres cinco", 1, ""), "once per turn"


def test_a_backchannel_is_no_turn_for_the_brain_unless_it_answers_a_question() -> None:
    schedule = Schedule(BrainSection())
    assert not schedule.final("Ajá", 1, "Son 84 euros.")
    assert schedule.final("Sí", 2, "Son 84 euros. ¿Quiere pagarlos?")


def test_a_late_transcript_of_an_older_turn_begins_nothing() -> None:
    schedule = Schedule(BrainSection())
    assert schedule.final("la segunda", 2, "")
    assert not schedule.final("la primera", 1, "")
    assert schedule.final("la tercera", 3, "")


def test_every_n_turns_and_on_demand() -> None:
    every_2 = Schedule(BrainSection(update_frequency="every_n_turns", every_n=2))
    assert [every_2.final("hola qué tal", n, "") for n in (1, 2, 3)] == [True, False, True]
    demand = Schedule(BrainSection(update_frequency="on_demand"))
    assert not demand.final("hola qué tal", 1, "")
    assert not demand.is_due(1)
