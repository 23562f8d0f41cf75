"""Callers are found whatever a number's format, and nobody on less than the whole number."""

from __future__ import annotations

import pytest

from penny.crm.crm import Caller, Contact, Person
from penny.crm.people import match, numbers_of, pattern
from penny.telephony.e164 import read_number
from tests.doubles.twenty_server import compares


pytestmark = pytest.mark.pure

FORMS = {
    "ES": (
        "+34612345678",
        "+34612345678|0034612345678|34612345678|612345678|612 345 678|612-34-56-78"
        "|6 1 2 3 4 5 6 7 8|+34 612 34 56 78|(+34) 612345678|+34-612-345-678"
        "|tel:+34612345678|612.345.678|612/345/678"
        "|sip:+34612345678@pbx.example|+34(612)345678|  612345678 |0034 612 345 678"
        "|+34 612345678;phone-context=x|+34·612·345·678|+34 (6) 12345678",
    ),
    "MX": (
        "+525512345678",
        "+525512345678|+5215512345678|5512345678|55 1234 5678|(55) 1234-5678|+52 1 55 1234 5678"
        "|0445512345678|045 55 1234 5678|015512345678|005215512345678|00525512345678|525512345678"
        "|5215512345678|+52 (55) 1234 5678|+52-55-1234-5678|55.1234.5678|tel:+525512345678"
        "|+52 1 (55) 12345678|1 55 1234 5678|sip:+5215512345678@pbx.example",
    ),
    "PE": (
        "+51987654321",
        "+51987654321|0051987654321|51987654321|987654321|987 654 321|987-654-321|+51 987 654 321"
        "|(+51) 987654321|tel:+51987654321|987.654.321|+51-987-654-321|+51(987)654321| 987654321"
        "|0051 987 654 321|sip:+51987654321@pbx.example|9 8 7 6 5 4 3 2 1|+51 9 8765 4321"
        "|987/654/321|+51 987654321;x|51 987 654 321",
    ),
}


@pytest.mark.parametrize("region", FORMS)
def test_twenty_forms_are_one_number(region: str) -> None:
    whole, written = FORMS[region]
    forms = written.split("|")
    assert len(set(forms)) == 20
    assert {form: read_number(form, region) for form in forms} == dict.fromkeys(forms, whole)
    found = [form for form in forms if compares("like", form, pattern(whole))]
    assert found == forms


@pytest.mark.parametrize(
    ("kept", "code", "region", "whole"),
    [
        ("612345678", "+34", "MX", "+34612345678"),
        ("34612345678", "+34", "ES", "+34612345678"),
        ("15512345678", "+52", "ES", "+525512345678"),
        ("(55) 1234 5678", "52", "ES", "+525512345678"),
        ("anonymous", "", "ES", ""),
        ("012", "", "ES", ""),
        ("", "+34", "ES", ""),
    ],
)
def test_a_kept_number_is_read_with_the_code_beside_it(
    kept: str, code: str, region: str, whole: str
) -> None:
    assert read_number(kept, region, code) == whole


def person(name: str, *numbers: str, **more: str) -> Person:
    emails = frozenset(filter(None, [more.get("email")]))
    company = more.get("company", "")
    kept = numbers_of([(each, "") for each in numbers], "ES")
    return Person(more.get("id", name), name, company, company, kept, emails)


def test_a_stranger_with_the_same_last_digits_is_not_the_caller() -> None:
    strangers = [person("Ana", "+44612345678"), person("Luis", "2345678"), person("Eva")]
    assert match(strangers, Caller("+34612345678"), "ES") == ()


def test_the_same_number_twice_and_the_same_contact_twice_is_one_match() -> None:
    ana = person("Ana", "612345678", "+34 612 345 678")
    assert match([ana, ana], Caller("0034612345678"), "ES") == (ana,)


def test_the_second_number_is_as_good_as_the_first() -> None:
    ana = person("Ana", "+34911111111", "612 345 678")
    assert match([ana], Caller("+34612345678"), "ES") == (ana,)


def test_a_name_of_the_application_goes_before_number_and_address() -> None:
    ana, luis = person("Ana", "612345678", email="a@x.es"), person("Luis", "612345678", id="u1")
    assert match([ana, luis], Caller("612345678", "", "u1"), "ES") == (luis,)
    assert match([ana, luis], Caller("", "A@X.es "), "ES") == (ana,)
    assert match([ana, luis], Caller("699999999"), "ES") == ()


@pytest.mark.parametrize("language", ["es", "en"])
def test_no_name_of_several_is_told(language: str) -> None:
    people = tuple(person(name, "612345678", company="Casa") for name in ("Ana", "Luis"))
    contact = Contact(people, "CRM Twenty")
    assert contact.status == "several"
    told = contact.told(language)
    assert told is not None
    assert told["matches"] == 2
    assert not any(name in str(told) for name in ("Ana", "Luis", "Casa"))
    record = contact.record()
    assert [each["name"] for each in record["people"]] == ["Ana", "Luis"]
    assert record["company_id"] == "Casa"
    assert Contact().told(language) is None
