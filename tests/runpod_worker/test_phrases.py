from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.phrases import HARD_MAX_CHARS, PhraseSplitter


pytestmark = pytest.mark.pure


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
        "El técnico llegará a su casa a las 13.30 h de mañana",
        "La oficina de la calle Mayor está en el 1.er piso",
        "El titular de este contrato es D. Juan Pérez Soto",
        "El contrato lo firma Luz del Valle S.A. desde enero",
        "Tenemos una oficina abierta en EE. UU. desde enero",
        "La empresa Luz del Valle S. L. cambió de nombre",
        "El expediente que me pide es el n.º 5 de la lista",
        "Su número de expediente es el núm. 5 de la lista",
        "Mande la carta a nuestro apdo. de correos de Bilbao",
        "Su próxima cita será el día 12 ene. de este año",
        "Atendemos en la oficina hasta las 9 p. m. todos los días",
        "Please see the invoice that we sent you as No. 5 today",
        "We are open on every working day from 9 a.m. to noon",
    ],
)
def test_decimals_and_abbreviations_end_no_phrase(text: str) -> None:
    assert split(text) == [text]


def test_a_number_stays_with_the_words_before_a_pause_mark() -> None:
    assert split("Su código de verificación es: 4829 y no caduca") == [
        "Su código de verificación es: 4829 y no caduca"
    ]


def test_a_point_after_a_word_that_is_an_abbreviation_only_before_numbers_ends_a_phrase() -> None:
    assert split("Me temo que en este caso no. Llame mañana") == [
        "Me temo que en este caso no. ",
        "Llame mañana",
    ]


def test_rows_and_items_are_phrases_of_their_own() -> None:
    text = (
        "Estas son: \n| Calle, número | Cuota. Base |\n|---|---|\n1. Apague el router, por favor."
    )
    assert split(text) == [
        "Estas son: \n",
        "| Calle, número | Cuota. Base |\n",
        "|---|---|\n",
        "1. Apague el router, por favor.",
    ]
    assert split("Siga por favor estos pasos: 1. Apague el router de casa. 2. Espere") == [
        "Siga por favor estos pasos: 1. Apague el router de casa. ",
        "2. Espere",
    ]


def test_a_link_is_not_cut() -> None:
    text = "Lea [la guía, página 3. Fibra](https://valle.es/guia,3) cuando quiera"
    assert split(text) == [text]


def test_a_forced_cut_spares_a_number() -> None:
    text = "palabra " * 33 + "900 123 456 789 012 345"
    assert split(text)[-1].startswith("900 123 456")


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


def test_a_slow_voice_begins_with_a_short_phrase_and_then_takes_longer_ones() -> None:
    text = (
        "Atendemos por teléfono de lunes a viernes de ocho de la mañana a ocho de la tarde y "
        "los sábados solamente por la mañana hasta las dos menos cuarto, salvo en agosto. Adiós."
    )
    splitter = PhraseSplitter(40)

    phrases = splitter.feed(text) + splitter.flush()

    assert phrases == [
        "Atendemos por teléfono de lunes ",
        "a viernes de ocho de la mañana a ocho de la tarde ",
        "y los sábados solamente por la mañana hasta las dos menos cuarto, salvo en agosto. ",
        "Adiós.",
    ]


def test_a_slow_voice_is_given_no_half_number() -> None:
    splitter = PhraseSplitter(40)

    phrases = splitter.feed("Llámenos al teléfono gratuito 900 123 456 cuando quiera usted hoy.")

    assert phrases + splitter.flush() == [
        "Llámenos al teléfono ",
        "gratuito 900 123 456 ",
        "cuando quiera usted hoy.",
    ]


def test_a_number_is_as_long_for_a_slow_voice_as_it_is_spoken() -> None:
    text = "La factura F-2024-1234 de electricidad es de 1500 euros, vence el 15 de enero. Adiós."
    splitter = PhraseSplitter(40)

    assert splitter.feed(text) + splitter.flush() == [
        "La factura F-2024-1234 ",
        "de electricidad es de 1500 euros, vence ",
        "el 15 de enero. Adiós.",
    ]


@given(st.text(alphabet=" .,¿?aeiou15", max_size=300), st.integers(1, 40))
def test_a_slow_voices_phrases_joined_are_the_text(text: str, size: int) -> None:
    splitter = PhraseSplitter(40)
    phrases = [p for at in range(0, len(text), size) for p in splitter.feed(text[at : at + size])]

    assert "".join(phrases + splitter.flush()) == text
