"""Numbers in E.164, however a line or an address book writes them. Pure.

Mexico's "1" behind the country's code, which lines still send and address books still have, belongs
to no number. What a line sent is kept beside what is read here: nothing is written over.
"""

from __future__ import annotations

import re

import phonenumbers


MEXICO = 52
NATIONAL_MEXICO = 10
SHORTEST = 7
"""Digits of a national number that is looked for at all."""


def read_number(text: str, region: str, calling_code: str = "") -> str:
    """A number in E.164, '' where the text is none.

    Args:
        region: of a number without its country's code.
        calling_code: as a CRM keeps it beside the number, "+34"; ''.
    """
    written = text.strip().removeprefix("tel:").removeprefix("sip:").split("@")[0].split(";")[0]
    for shown in _readings(written, calling_code):
        try:
            number = phonenumbers.parse(shown, region)
        except phonenumbers.NumberParseException:
            continue
        national = str(number.national_number)
        code = number.country_code or 0
        zeros = "0" * (number.number_of_leading_zeros or 1) if number.italian_leading_zero else ""
        if code == MEXICO:
            national, zeros = _without_one(national), ""
        if len(national) >= SHORTEST:
            return f"+{code}{zeros}{national}"
    return ""


def _readings(written: str, calling_code: str) -> list[str]:
    """What a text may stand for, the likeliest first."""
    digits = "".join(c for c in written if c.isdigit())
    if not digits:
        return []
    code = "".join(c for c in calling_code if c.isdigit())
    if written.lstrip().startswith(("+", "00", "(+")):
        return [f"+{digits.removeprefix('00')}" if written.lstrip()[0] != "+" else f"+{digits}"]
    if code:
        return [f"+{digits}" if _has_code(digits, code) else f"+{code}{digits}"]
    return [written]


def _has_code(digits: str, code: str) -> bool:
    """Whether a number kept beside its country's code begins with that code all the same."""
    if not digits.startswith(code):
        return False
    alone, whole = (phonenumbers.parse(f"+{text}") for text in (code + digits, digits))
    return not phonenumbers.is_possible_number(alone) and phonenumbers.is_possible_number(whole)


def _without_one(national: str) -> str:
    for prefix in ("1", "44", "45"):  # of mobiles from abroad, and from within until 2019
        rest = national.removeprefix(prefix)
        if rest != national and len(rest) == NATIONAL_MEXICO:
            return rest
    return national


def of_line(shown: str, country: str) -> str:
    """A party of a call in E.164; '' where a line shows a name, "anonymous", or no whole number.

    Args:
        country: of the line, ISO 3166, for numbers without a country's code; '' reads none.
    """
    user = re.sub(r"^(?:sips?|tel):", "", shown.strip()).split("@")[0].split(";")[0]
    if re.search(r"[^\W\d_]", user):
        return ""  # a name with digits in it is none
    number = read_number(user, country or "ZZ")
    return number if number and phonenumbers.is_possible_number(phonenumbers.parse(number)) else ""


def country_of(number: str) -> str:
    """The country of a number in E.164; '' where its code is several countries' or it is none."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(parsed) or ""
