"""How alike a question is to what a passage lists of callers' own words."""

from __future__ import annotations

import orjson
import pytest

from kb.index import StoredPassage
from kb.normal.analysis import keys_of
from kb.normal.words import sounds_of
from kb.phrases import compare_phrases, listen


pytestmark = pytest.mark.pure


def passage(*phrases: str) -> StoredPassage:
    asked = [" ".join(keys_of(each, "es")) for each in phrases]
    row = [["id"], " ".join(asked), "", "", asked, [sounds_of(each) for each in phrases], []]
    return StoredPassage(orjson.dumps(row))


def compare(stored: StoredPassage, *words: str) -> tuple[float, float]:
    """Every word weighs one."""
    here = [(at, keys_of(each, "es")[0], 1.0) for at, each in enumerate(words)]
    return compare_phrases(stored, here, [1.0] * len(words), float(len(words)))


def test_the_likest_phrase_counts_however_many_others_there_are() -> None:
    alone = passage("pagar factura")
    among = passage("contador roto", "pagar factura", "tarifa nocturna")
    assert compare(alone, "pagar", "factura") == compare(among, "pagar", "factura") == (1.0, 1.0)


def test_what_a_phrase_has_more_than_the_question_makes_it_less_alike() -> None:
    stored = passage("pagar factura banco tarjeta")

    likeness, said = compare(stored, "pagar", "factura")

    assert likeness == pytest.approx(2 / 3)
    assert said == pytest.approx(0.5)


def test_a_question_shared_out_among_phrases_is_like_none_of_them() -> None:
    stored = passage("pagar contador", "factura contador")

    likeness, _ = compare(stored, "pagar", "factura")

    assert likeness == pytest.approx(1 / 2.5)


def test_nothing_shared_is_nothing_alike() -> None:
    assert compare(passage("contador roto"), "pagar") == (0.0, 0.0)


def test_a_phrase_heard_inside_a_longer_question_is_heard_whole() -> None:
    phrases = [sounds_of("contraseña olvidada"), sounds_of("otra cosa")]

    whole, part = listen(phrases, sounds_of("hola buenas contra seña olvidada gracias"))

    assert part == 1.0
    assert 0.4 < whole < part
