"""Who of a CRM's contacts is the caller: numbers in whatever format, addresses. Pure.

A number matches as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import phonenumbers

from penny.crm.crm import Caller, Person
from penny.telephony.e164 import read_number


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
