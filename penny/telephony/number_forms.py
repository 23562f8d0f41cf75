"""How a line wants a number that it is to ring: its form, and what stands around it. Pure.

A trunk that knows no ``+`` answers "no such number": every call of a campaign fails alike.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

import phonenumbers
from pydantic import AfterValidator


NumberForm = Literal["+e164", "e164", "00", "national"]
"""``national``: as it is dialled within the line's country, other countries' behind its prefix."""
FORMS: tuple[NumberForm, ...] = get_args(NumberForm)
NUMBER = "{number}"
SPANISH, FRENCH = "+34910000000", "+33123456789"
"""Examples of numbers from abroad."""


def dialled(number: str, form: NumberForm, template: str, country: str) -> str:
    """A number in E.164 as the line is to ring it; digits and ``+ *`` alone, as in its template.

    Args:
        template: ``{number}`` with what is dialled before and behind it.
        country: of the line, which ``national`` goes by.
    """
    digits = number.removeprefix("+")
    if form == "national":
        written = phonenumbers.format_out_of_country_calling_number(
            phonenumbers.parse(number), country
        )
        shown = re.sub(r"\D", "", written)
    else:
        shown = {"+e164": f"+{digits}", "e164": digits, "00": f"00{digits}"}[form]
    return template.replace(NUMBER, shown)


def examples(form: NumberForm, template: str, country: str) -> list[tuple[str, str]]:
    """(number, as it is rung) of one in the line's country and one abroad."""
    own = phonenumbers.example_number(country) if country else None
    numbers = [FRENCH if country == "ES" else SPANISH]
    if own is not None:
        e164 = phonenumbers.format_number(own, phonenumbers.PhoneNumberFormat.E164)
        numbers.insert(0, e164)
    return [(number, dialled(number, form, template, country)) for number in numbers]


def _check_country(country: str) -> str:
    if country and country not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("write a country as two letters, such as ES, MX or PE; '' for none")
    return country


def _check_template(template: str) -> str:
    # Of a dial string in Asterisk: nothing that ends the user's part or names another endpoint.
    if not re.fullmatch(r"\+?[0-9*]{0,12}\{number\}[0-9*]{0,12}", template):
        raise ValueError("write {number} once, with digits or * before and behind: 9{number}")
    return template


Country = Annotated[str, AfterValidator(_check_country)]
DialTemplate = Annotated[str, AfterValidator(_check_template)]
