from __future__ import annotations

import pytest

from runpod_worker.commands import SPANISH_COMMANDS
from runpod_worker.engines.spanish_phones import (
    is_pronounceable,
    pronounce,
    spell_sounds,
    split_words,
)


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("cuánto", "kwanto"),
        ("queja", "keJa"),
        ("guerra", "gera"),
        ("pingüino", "pingwino"),
        ("electricidad", "elektrisidad"),
        ("hay", "ai"),
        ("llave", "Labe"),
        ("año", "aNo"),
        ("muchas", "muCas"),
        ("zapato", "sapato"),
    ],
)
def test_spelling_becomes_sounds(word: str, sounds: str) -> None:
    assert spell_sounds(word) == sounds


def test_a_word_with_mid_vowels_has_variants_and_one_without_has_one() -> None:
    assert pronounce("sí") == ["S IY"]
    assert pronounce("no")[:2] == ["N OW", "N AO"]


def test_every_word_of_the_commands_can_be_pronounced() -> None:
    for phrase in SPANISH_COMMANDS:
        for word in split_words(phrase):
            assert pronounce(word), word


def test_a_word_without_sounds_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'h'"):
        pronounce("h")


def test_a_phrase_with_digits_or_without_sounds_is_not_for_a_grammar() -> None:
    assert is_pronounceable("¿Qué plazo tengo?")
    assert not is_pronounceable("factura 1234")
    assert not is_pronounceable("h")
    assert not is_pronounceable("¿?")
