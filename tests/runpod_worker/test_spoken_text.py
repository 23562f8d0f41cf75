from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.spoken_text import write_for_speech


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Son 1.500,00 EUR.", "Son mil quinientos euros."),
        ("Son 84,35 €.", "Son ochenta y cuatro euros con treinta y cinco céntimos."),
        ("Cuesta 1 € y 21 $.", "Cuesta un euro y veintiún dólares."),
        ("a 0,15 €/kWh", "a quince céntimos el kilovatio hora"),
        ("un 3,5 % más", "un tres coma cinco por ciento más"),
        ("vence el 2025-01-15.", "vence el quince de enero de dos mil veinticinco."),
        ("el 1/3/2025", "el uno de marzo de dos mil veinticinco"),
        ("F-2024-1234", "F, dos mil veinticuatro, doce, treinta y cuatro"),
        ("de 9:00 a 14:30", "de nueve a catorce treinta"),
        ("info@valle.es", "info arroba valle punto es"),
        ("al 900 123 456.", "al nueve cero cero, uno dos tres, cuatro cinco seis."),
        ("son 1.500 clientes", "son mil quinientos clientes"),
    ],
)
def test_spanish_is_written_as_a_person_says_it(written: str, said: str) -> None:
    assert write_for_speech(written, "es") == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It is $21.50.", "It is twenty-one dollars and fifty cents."),
        ("due 2025-01-15", "due January fifteenth, twenty twenty-five"),
        ("until 14:30", "until two thirty PM"),
        ("write to ana_b@valle.es", "write to ana underscore b at valle dot es"),
    ],
)
def test_english_is_written_as_a_person_says_it(written: str, said: str) -> None:
    assert write_for_speech(written, "en-GB") == said


def test_plain_words_are_left_alone() -> None:
    assert write_for_speech(" Hola, ¿qué tal?\n", "es") == " Hola, ¿qué tal?\n"


def test_another_language_keeps_its_numbers() -> None:
    assert write_for_speech("**Ça** coûte 45,50 €", "fr") == "Ça coûte 45,50 €"


def test_pictograms_alone_are_not_silence() -> None:
    assert write_for_speech("👍", "es") == "de acuerdo"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("12 ſep 2024", "doce de septiembre de dos mil veinticuatro"),
        ("5 mİn", "cinco minutos"),
        ("20 \u212am", "veinte kilómetros"),
        (".²@b.com", "punto ² arroba b punto com"),
        ("٣ días", "tres días"),
    ],
)
def test_letters_and_digits_of_other_scripts_are_no_failure(written: str, said: str) -> None:
    assert write_for_speech(written, "es") == said


@given(
    st.one_of(st.text(alphabet="0123456789.,-/:@€$%EURaF ºª#|*", max_size=60), st.text()),
    st.sampled_from(["es", "en", "fr", ""]),
)
def test_any_text_can_be_written(text: str, language: str) -> None:
    assert isinstance(write_for_speech(text, language), str)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1234", "uno dos tres cuatro"),
        ("12345", "uno dos tres, cuatro cinco"),
        ("123456", "uno dos tres, cuatro cinco seis"),
        ("1234567", "uno dos tres, cuatro cinco seis siete"),
        ("12345678", "uno dos tres, cuatro cinco seis, siete ocho"),
    ],
)
def test_more_than_four_digits_have_pauses_between_groups(written: str, said: str) -> None:
    assert write_for_speech(f"El código es {written}.", "es") == f"El código es {said}."


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        (
            "es",
            "Su pedido 20456-88 salió.",
            "Su pedido dos cero cuatro, cinco seis guion ocho ocho",
        ),
        (
            "es",
            "El expediente 45123/2024.",
            "cuatro cinco uno, dos tres barra dos mil veinticuatro.",
        ),
        ("es", "La factura n.º 77123.", "La factura número siete siete uno, dos tres."),
        ("es", "Su contrato es de 12000 euros.", "Su contrato es de doce mil euros."),
        ("es", "El recibo 12345 €.", "doce mil trescientos cuarenta y cinco euros."),
        ("es", "La factura 1234.", "La factura mil doscientos treinta y cuatro."),
        ("en", "Invoice #55123 is due.", "Invoice number five five one, two three is due."),
        ("en", "Your order number is 20456-88.", "two zero four, five six dash eight eight."),
    ],
)
def test_the_number_of_an_order_is_no_quantity(language: str, written: str, said: str) -> None:
    assert said in write_for_speech(written, language)
