"""Which doubtful words matter."""

from __future__ import annotations

import pytest

from penny.correction.doubts import HeardWord, find_doubt


pytestmark = pytest.mark.pure

BELOW = 0.5


def doubting(text: str, word: str) -> list[HeardWord]:
    return [HeardWord(each, 0.3 if each == word else 0.95) for each in text.split()]


@pytest.mark.parametrize(
    ("said", "word", "slot", "value", "other"),
    [
        ("son setenta y cuatro euros", "setenta", "amount", "setenta y cuatro", "sesenta"),
        ("para el trece de diciembre", "trece", "date", "trece", "tres"),
        ("vino el martes", "martes", "date", "martes", "miercoles"),
        ("mi número es el cuatro cinco seis", "seis", "identifier", "cuatro cinco seis", "tres"),
        ("acaba en siete cero efe", "efe", "identifier", "siete cero efe", "ele"),
        ("quiero cancelar la línea", "cancelar", "cancellation", "cancelar", "cancela"),
        ("me llamo Marta Olmedo", "Olmedo", "name", "Olmedo", ""),
        ("quiero saber mi salgo", "salgo", "amount", "salgo", "saldo"),
    ],
)
def test_a_doubtful_word_in_a_slot_that_matters_is_found(
    said: str, word: str, slot: str, value: str, other: str
) -> None:
    doubt = find_doubt(doubting(said, word), BELOW, "es")
    assert doubt is not None
    words = said.split()
    assert (doubt.slot, doubt.other) == (slot, other)
    assert " ".join(words[doubt.first : doubt.last + 1]) == value
    assert words[doubt.at] == word


def test_of_two_the_less_sure_one_is_taken() -> None:
    words = [HeardWord("el"), HeardWord("lunes", 0.4), HeardWord("o"), HeardWord("martes", 0.2)]
    doubt = find_doubt(words, BELOW, "es")
    assert doubt is not None
    assert doubt.at == 3


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("pues mire la factura llegó", "pues"),
        ("marque el número 5 para repetir", "5"),
        ("el pago de una factura", "de"),
        ("la luz está alta bastante", "bastante"),
        ("soy cliente suyo", "cliente"),
        ("uno de mis hijos", "uno"),
    ],
)
def test_a_doubtful_word_elsewhere_is_left_alone(said: str, word: str) -> None:
    assert find_doubt(doubting(said, word), BELOW, "es") is None


def test_a_recogniser_that_tells_no_confidence_raises_no_doubt() -> None:
    words = [HeardWord("son"), HeardWord("setenta"), HeardWord("euros")]
    assert find_doubt(words, BELOW, "es") is None
