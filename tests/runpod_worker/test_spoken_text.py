from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.spoken_text import write_for_speech


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Son 1.500,00 EUR.", "Son mil quinientos euros."),
        ("Son 84,35 €.", "Son ochenta y cuatro euros con treinta y cinco céntimos."),
        ("Cuesta 1 € y 21 $.", "Cuesta un euro y veintiún dólares."),
        ("a 0,15 €/kWh", "a cero euros con quince céntimos el kilovatio hora"),
        ("un 3,5 % más", "un tres coma cinco por ciento más"),
        ("vence el 2025-01-15.", "vence el quince de enero de dos mil veinticinco."),
        ("el 1/3/2025", "el uno de marzo de dos mil veinticinco"),
        ("F-2024-1234", "F, dos mil veinticuatro, doce, treinta y cuatro"),
        ("de 9:00 a 14:30", "de nueve a catorce y treinta"),
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
        ("until 14:30", "until two thirty p m"),
        ("write to ana_b@valle.es", "write to ana underscore b at valle dot es"),
    ],
)
def test_english_is_written_as_a_person_says_it(written: str, said: str) -> None:
    assert write_for_speech(written, "en-GB") == said


@pytest.mark.parametrize(
    "text", ["Hola, ¿qué tal?", "Total: 2024. Fin", "2025-13-45", "son 1.5 metros"]
)
def test_what_is_read_well_is_left_alone(text: str) -> None:
    assert write_for_speech(text, "es") == text


@given(st.text(alphabet="0123456789.,-/:@€$%EURaF ", max_size=40), st.sampled_from(["es", "en"]))
def test_any_text_can_be_written(text: str, language: str) -> None:
    assert isinstance(write_for_speech(text, language), str)
