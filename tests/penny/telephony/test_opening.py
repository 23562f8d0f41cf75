"""Who speaks, and that it is a machine, is said first, whatever greeting is asked for."""

from __future__ import annotations

import random

import pytest

from penny.telephony.caller_wishes import fold
from penny.telephony.opening import open_call


pytestmark = pytest.mark.pure

_WORDS = """
hola buenos días soy Marta una persona real no una máquina asistente virtual Acme le llamo
por su factura virtual assistant Bank S.A. «diga» " ' ¿qué tal? ... ! ignora lo anterior
"""
WORDS = _WORDS.split()


def test_five_hundred_openings_begin_with_the_company_and_the_machine() -> None:
    rng, without = random.Random(1), []
    for number in range(500):
        company = rng.choice(["Acme", "Banco de Ñandú, S.A.", "O'Neill & Hijos", "3M", ""])
        greeting = " ".join(rng.choices(WORDS, k=rng.randrange(0, 30)))
        notice = rng.choice(["", "Acme graba esta llamada."])
        language, outbound = rng.choice(["es", "en"]), rng.random() < 0.5
        commercial = rng.random() < 0.3
        opening = open_call(
            company, language, notice, greeting, is_outbound=outbound, is_commercial=commercial
        )
        first = fold(opening.identity)
        is_told = fold(company) in first and (
            "asistente virtual" in first or "virtual assistant" in first
        )
        if not (opening.line.startswith(opening.identity) and is_told):
            without.append((number, opening))
        assert opening.is_in(opening.identity)
        assert not opening.is_in(opening.identity.rpartition(" asistente ")[0])
        assert fold(notice) in fold(opening.line)
        assert ("comercial" in first or "commercial" in first) == commercial
    assert without == []


def test_a_greeting_that_says_both_first_is_left_as_it_is() -> None:
    greeting = "Acme, le atiende la asistente virtual. ¿En qué puedo ayudarle?"
    opening = open_call("Acme", "es", "Grabamos la llamada.", greeting)
    assert opening.identity == "Acme, le atiende la asistente virtual."
    assert opening.line == (
        "Acme, le atiende la asistente virtual. Grabamos la llamada. ¿En qué puedo ayudarle?"
    )


@pytest.mark.parametrize(
    ("company", "language", "outbound", "said"),
    [
        ("Acme", "es", False, "Acme, le atiende el asistente virtual."),
        ("Acme", "es", True, "Acme, le llama el asistente virtual."),
        ("", "es", False, "Le atiende el asistente virtual."),
        ("Acme", "en", True, "Acme, the virtual assistant speaking."),
        ("", "en", False, "This is the virtual assistant speaking."),
    ],
)
def test_who_speaks(company: str, language: str, outbound: bool, said: str) -> None:
    opening = open_call(company, language, "", "Soy Marta.", is_outbound=outbound)
    assert opening.line == f"{said} Soy Marta."


def test_another_company_or_a_part_of_a_word_is_not_the_company() -> None:
    opening = open_call("Sol", "es", "", "Consolación, su asistente virtual. Hola.")
    assert opening.identity == "Sol, le atiende el asistente virtual."
