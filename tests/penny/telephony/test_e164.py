"""Row 1.16: parties of a call, as a line shows them, in E.164 by the line's country."""

from __future__ import annotations

import pytest

from penny.telephony.e164 import country_of, of_line


pytestmark = pytest.mark.pure

CASES = [
    ("ES", "912345678", "+34912345678"),
    ("ES", "34912345678", "+34912345678"),
    ("ES", "0034912345678", "+34912345678"),
    ("ES", "+34912345678", "+34912345678"),
    ("ES", "612 34 56 78", "+34612345678"),
    ("ES", "sip:612345678@10.0.0.1", "+34612345678"),
    ("ES", "tel:+34612345678;phone-context=x", "+34612345678"),
    ("ES", "+525512345678", "+525512345678"),
    ("ES", "0051987654321", "+51987654321"),
    ("ES", "900123456", "+34900123456"),
    ("MX", "5512345678", "+525512345678"),
    ("MX", "525512345678", "+525512345678"),
    ("MX", "+5215512345678", "+525512345678"),
    ("MX", "5215512345678", "+525512345678"),
    ("MX", "0445512345678", "+525512345678"),
    ("MX", "00525512345678", "+525512345678"),
    ("MX", "+34612345678", "+34612345678"),
    ("MX", "+15550100100", "+15550100100"),
    ("PE", "987654321", "+51987654321"),
    ("PE", "51987654321", "+51987654321"),
    ("PE", "014567890", "+5114567890"),
    ("PE", "+5114567890", "+5114567890"),
    ("PE", "0051987654321", "+51987654321"),
    ("PE", "+34912345678", "+34912345678"),
    ("ES", "recepcion", ""),
    ("ES", "sip:maria7654321@pbx.example", ""),
    ("MX", "anonymous", ""),
    ("PE", "sip:anonymous@anonymous.invalid", ""),
    ("ES", "200", ""),
    ("ES", "", ""),
    ("ES", "91234567", ""),
    ("", "912345678", ""),
    ("", "+34912345678", "+34912345678"),
]


@pytest.mark.parametrize(("country", "shown", "number"), CASES)
def test_1_16_a_party_is_read_by_the_lines_country(country: str, shown: str, number: str) -> None:
    assert of_line(shown, country) == number


@pytest.mark.parametrize(
    ("number", "country"),
    [("+34912345678", "ES"), ("+525512345678", "MX"), ("+5114567890", "PE"), ("912345678", "")],
)
def test_1_16_a_number_tells_its_country(number: str, country: str) -> None:
    assert country_of(number) == country
