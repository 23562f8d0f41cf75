from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.phrases import HARD_MAX_CHARS, PhraseSplitter


def split(text: str, size: int = 3) -> list[str]:
    splitter = PhraseSplitter()
    phrases = []
    for start in range(0, len(text), size):
        phrases += splitter.feed(text[start : start + size])
    return phrases + splitter.flush()


@given(st.lists(st.text(alphabet=' \n.,;:¿?¡!…aeiouñ15"()', max_size=12), max_size=60))
def test_phrases_joined_are_the_tokens_joined(tokens: list[str]) -> None:
    splitter = PhraseSplitter()
    phrases = [phrase for token in tokens for phrase in splitter.feed(token)]
    phrases += splitter.flush()

    assert "".join(phrases) == "".join(tokens)
    assert all(phrases)


@given(st.text(alphabet=" .,¿?aeiou15", max_size=300), st.integers(1, 40))
def test_no_phrase_but_the_last_depends_on_how_the_tokens_are_cut(text: str, size: int) -> None:
    longest = max(map(len, split(text, size)), default=0)

    assert longest <= HARD_MAX_CHARS + 40


def test_first_phrase_ends_at_the_first_comma_and_later_ones_at_sentences() -> None:
    text = "Claro que sí, ahora se lo digo. La factura vence el quince, que es lunes. Adiós."

    assert split(text) == [
        "Claro que sí, ",
        "ahora se lo digo. La factura vence el quince, que es lunes. ",
        "Adiós.",
    ]


def test_a_first_phrase_is_likely_before_the_next_token_proves_it() -> None:
    splitter = PhraseSplitter()
    assert (splitter.feed("Ahora mismo se lo digo"), splitter.likely()) == ([], "")
    assert (splitter.feed("."), splitter.likely()) == ([], "Ahora mismo se lo digo.")
    assert splitter.feed(" La") == ["Ahora mismo se lo digo. "]
    assert (splitter.feed(" factura vence el quince."), splitter.likely()) == ([], "")


@pytest.mark.parametrize("text", ["Sí.", "La factura de la Sra.", "Escriba a la avda."])
def test_what_may_well_go_on_is_not_likely(text: str) -> None:
    splitter = PhraseSplitter()
    splitter.feed(text)
    assert splitter.likely() == ""


@pytest.mark.parametrize(
    "text",
    [
        "La factura es de 1.500,00 euros en total",
        "Hable con el Sr. Pérez de la oficina central",
        "Está en la Avda. de la Constitución número 4",
        "Abrimos a las 9.30 de la mañana todos los días",
        "The price is 3.50 euros for Mr. Smith today",
    ],
)
def test_decimals_and_abbreviations_end_no_phrase(text: str) -> None:
    assert split(text) == [text]


def test_spanish_question_is_a_phrase_of_its_own() -> None:
    assert split("¿En qué puedo ayudarle hoy? Dígame sin prisa.") == [
        "¿En qué puedo ayudarle hoy? ",
        "Dígame sin prisa.",
    ]


def test_first_phrase_comes_as_soon_as_what_follows_is_known() -> None:
    splitter = PhraseSplitter()

    assert splitter.feed("Buenos días a todos.") == []
    assert splitter.feed(" Hoy") == ["Buenos días a todos. "]


def test_a_sentence_that_never_ends_is_cut_at_a_space() -> None:
    phrases = split("palabra " * 100)

    assert len(phrases) > 2
    assert all(phrase.endswith(" ") for phrase in phrases)


def test_ellipsis_ends_a_phrase() -> None:
    assert split("Déjeme ver un momento... Ya lo tengo aquí.")[0] == "Déjeme ver un momento... "
