"""Row 2.5: a line rings numbers in its own form; each form is shown on an example before saving."""

from __future__ import annotations

import pytest

from penny.errors import ProtocolError
from penny.telephony.number_forms import FORMS, dialled, examples
from penny.telephony.reception import read_numbering, read_reception


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("number", "country", "rung"),
    [
        ("+34911111111", "ES", ("+34911111111", "34911111111", "0034911111111", "911111111")),
        ("+525512345678", "MX", ("+525512345678", "525512345678", "00525512345678", "5512345678")),
        ("+5114567890", "PE", ("+5114567890", "5114567890", "005114567890", "014567890")),
        ("+966501234567", "ES", ("+966501234567", "966501234567", "00966501234567", None)),
    ],
)
def test_2_5_a_number_in_each_form(number: str, country: str, rung: tuple[str | None, ...]) -> None:
    found = tuple(dialled(number, form, "{number}", country) for form in FORMS)
    assert found == tuple("00966501234567" if each is None else each for each in rung)


def test_2_5_a_template_stands_around_it() -> None:
    assert dialled("+34911111111", "national", "9{number}", "ES") == "9911111111"
    assert dialled("+34911111111", "00", "*31*{number}", "") == "*31*0034911111111"


def test_2_5_examples_are_of_the_lines_country_and_of_another() -> None:
    for country in ("ES", "MX", "PE", "FR"):
        (own, rung), (abroad, _) = examples("national", "{number}", country)
        assert own != abroad
        assert own.removeprefix("+").endswith(rung.lstrip("0"))
    assert examples("e164", "0{number}", "") == [("+34910000000", "034910000000")]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"dial_template": "{number}@evil"}, "dial_template"),
        ({"dial_template": "9"}, "dial_template"),
        ({"dial_template": "{number}{number}"}, "dial_template"),
        ({"dial_template": "9&{number}"}, "dial_template"),
        ({"country": "XX"}, "country"),
        ({"country": "es"}, "country"),
        ({"number_form": "+"}, "number_form"),
        ({"number_form": "national"}, "country"),
    ],
)
def test_2_5_what_cannot_be_dialled_is_refused_by_its_field(
    told: dict[str, str], field: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_numbering(told)
    assert caught.value.field == field
    with pytest.raises(ProtocolError) as caught:
        read_reception(
            {"method": "carrier_grade", "carrier_grade": {"host": "a.example", "user": "u", **told}}
        )
    assert caught.value.field == f"carrier_grade.{field}"
