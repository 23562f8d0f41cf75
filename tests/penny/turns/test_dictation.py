from __future__ import annotations

import pytest

from penny.turns.dictation import is_dictating


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    "text",
    [
        "mi número es 612.",
        "Mi teléfono es el 612 34,",
        "seis uno dos",
        "6 1 2",
        "el código postal es 28",
        "Mi número de pedido es 4 5",
        "mi correo es juan.perez",
        "juan arroba gmail",
        "my number is 555",
        "a be ce",
        "Se escribe jota u",
    ],
)
def test_more_is_to_come(text: str) -> None:
    assert is_dictating(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mi teléfono es 612 34 56 78.",
        "el código postal es 28013",
        "Mi DNI es 12345678 Z",
        "juan@gmail.com",
        "juan arroba gmail punto com",
        "25",
        "A las 5.",
        "son tres euros",
        "Sí, el 2.",
        "quiero hablar del número",
    ],
)
def test_nothing_is_dictated_or_it_is_whole(text: str) -> None:
    assert not is_dictating(text)
