"""What is read out of what callers said: times of day, amounts without a coin, wrong identities."""

from __future__ import annotations

import pytest

from penny.analysis.entities import find_entities
from penny.calls.numbers import read_numbers, read_words


pytestmark = pytest.mark.pure


def found_in(text: str) -> list[tuple[str, str]]:
    return [(each.kind, each.value) for each in find_entities(text)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("quedamos a las cinco y media de la tarde", "17:30"),
        ("vengan a las 9:20", "09:20"),
        ("mejor por la tarde a las siete menos cuarto", "18:45"),
        ("a las doce de la noche", "00:00"),
        ("a la una y diez", "01:10"),
        ("al mediodía", "12:00"),
        ("las ocho de la mañana me va bien", "08:00"),
        ("at half past ten in the morning", "10:30"),
    ],
)
def test_a_time_of_day_is_read(text: str, told: str) -> None:
    assert ("time", told) in found_in(text)


@pytest.mark.parametrize("text", ["a las dos facturas les falta algo", "las tres veces que llamé"])
def test_what_is_counted_is_no_time(text: str) -> None:
    assert found_in(text) == []


def test_a_price_without_its_coin_is_an_amount() -> None:
    assert found_in("me han cobrado treinta y nueve noventa y cinco") == [("money", "39.95")]


def test_an_identity_with_a_wrong_letter_is_neither_that_nor_a_contract() -> None:
    assert found_in("mi dni es doce treinta y cuatro cincuenta y seis setenta y ocho letra a") == []
    assert found_in("12345678A") == []


def test_an_identity_said_in_millions_is_read() -> None:
    said = "doce millones trescientos cuarenta y cinco mil seiscientos setenta y ocho zeta"
    assert found_in(said) == [("id", "12345678Z")]


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("dos millones trescientos mil", ["2300000"]),
        ("un millón", ["1000000"]),
        ("cuarenta cero nueve", ["40", "0", "9"]),
    ],
)
def test_digits_of_a_number_are_those_that_its_words_count(text: str, digits: list[str]) -> None:
    assert [number.digits for number in read_numbers(text)] == digits
    assert sum(word.digits for word in read_words(text)) == len("".join(digits))
