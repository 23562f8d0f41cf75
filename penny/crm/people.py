"""Who of a CRM's contacts is the caller: numbers in whatever format, addresses. Pure.

A number matches as a whole or not at all. Mexico's "1" behind the country's code, which lines still
send and address books still have, belongs to no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import phonenumbers

from penny.crm.crm import Caller, Person


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


def pattern(number: str) -> str:
    """A LIKE pattern that finds an E.164 number's national part however it is written."""
    national = str(phonenumbers.parse(number).national_number)
    return "%" + "%".join(national) + "%"


def national(number: str) -> str:
    """The digits of an E.164 number without its country's code."""
    return str(phonenumbers.parse(number).national_number)


def match(found: Iterable[Person], caller: Caller, region: str) -> tuple[Person, ...]:
    """Those of ``found`` who are the caller, each once.

    The application's own name decides where a contact has it, then the number, then the address.
    """
    known: dict[str, Person] = {}
    for person in found:
        known.setdefault(person.id, person)
    people = list(known.values())
    if caller.user_id and (named := [each for each in people if each.id == caller.user_id]):
        return tuple(named)
    number = read_number(caller.number, region)
    if number and (having := [each for each in people if number in each.numbers]):
        return tuple(having)
    email = caller.email.strip().lower()
    return tuple(each for each in people if email and email in each.emails)


def numbers_of(values: Sequence[tuple[str, str]], region: str) -> frozenset[str]:
    """The whole numbers of pairs (number, calling code); what is none is left out."""
    read = (read_number(number, region, code) for number, code in values)
    return frozenset(number for number in read if number)
