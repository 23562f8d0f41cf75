"""Wishes for a person, or for no more calls, told from the words alone, in five languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from penny.analysis.person import wants_person
from penny.telephony.caller_wishes import wants_no_calls


pytestmark = pytest.mark.pure


def read(name: str) -> list[str]:
    """The sentences, written before the code that is tested."""
    lines = (Path(__file__).parent / "said" / f"{name}.txt").read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_wish_for_a_person_is_understood_in_five_languages() -> None:
    said = read("person")
    assert len(said) == 100
    missed = [words for words in said if not wants_person(words)]
    assert len(missed) <= 2, missed


def test_what_only_speaks_of_persons_and_machines_is_no_such_wish() -> None:
    said = read("other")
    assert len(said) == 100
    taken = [
        words for words in (*said, *read("still_call"), *read("no_calls")) if wants_person(words)
    ]
    assert len(taken) <= 2, taken


@pytest.mark.parametrize(
    ("words", "is_wish"),
    [
        ("No quiero hablar con una persona", False),
        ("No, no hace falta hablar con un agente", False),
        ("No vull parlar amb una persona", False),
        ("Non quero falar cunha persoa", False),
        ("Ez dut pertsona batekin hitz egin nahi", False),
        ("I don't want to talk to an agent", False),
        ("No me pase con un operador", False),
        ("No quiero la factura, quiero hablar con una persona", True),
        ("¿No puedo hablar con una persona?", True),
        ("I don't want to wait, let me talk to a human", True),
    ],
)
def test_what_is_denied_is_not_wished(words: str, is_wish: bool) -> None:
    assert wants_person(words) is is_wish


def test_no_more_calls_is_understood_in_five_languages_and_nothing_else_is() -> None:
    missed = [words for words in read("no_calls") if not wants_no_calls(words)]
    assert missed == []
    others = (*read("still_call"), *read("person"), *read("other"))
    assert [words for words in others if wants_no_calls(words)] == []
