"""Words of a company that speech recognition would miss."""

from __future__ import annotations

import pytest

from runpod_worker.hot_words import choose_hot_words


pytestmark = pytest.mark.pure


def test_names_come_before_long_words_and_the_frequent_before_the_rare() -> None:
    texts = [
        "¿Cuánto cuesta la tarifa Horizonte?",
        "La tarifa Horizonte incluye telegestión. ¿Y la telegestión del contador?",
        "Quiero el plan A3 en Badajoz",
        "Aclaraciones",
    ]

    chosen = choose_hot_words(texts, 10)

    assert chosen[0] == "Horizonte"
    assert set(chosen[1:3]) == {"A3", "Badajoz"}
    assert chosen[3] == "telegestión"
    assert "tarifa" not in chosen  # an everyday word
    assert "Cuánto" not in chosen  # begins its sentence


def test_a_word_of_a_heading_that_is_written_small_elsewhere_is_no_name() -> None:
    texts = ["La tarifa Horizonte", "En Su Precio", "- Tenemos Horizonte", "Es su precio de hoy"]
    assert choose_hot_words(texts, 10) == ("Horizonte",)


def test_the_limit_holds() -> None:
    assert choose_hot_words(["de Uno Dos Tres Cuatro"], 2) == ("Uno", "Dos")
    assert choose_hot_words([], 5) == ()
