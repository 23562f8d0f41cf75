"""What a passage is found to have of what the caller named."""

from __future__ import annotations

import orjson
import pytest

from kb.evidence import Inquiry, weigh
from kb.index import StoredPassage
from kb.normal.analysis import keys_of
from kb.query import Concept


pytestmark = pytest.mark.pure


def passage(heading: str, text: str) -> StoredPassage:
    headed, body = " ".join(keys_of(heading, "es")), " ".join(keys_of(text, "es"))
    return StoredPassage(orjson.dumps([["id"], f"{headed} {body}", headed, body, [], [], ["time"]]))


def named(word: str, weight: float = 1.0, *, weak: bool = False, known: bool = True) -> Concept:
    return Concept("word", word, {keys_of(word, "es")[0]: 1.0}, weight, known, weak)


def test_what_is_found_and_lost_counts_by_its_weight() -> None:
    stored = passage("Plazo", "La factura vence en veinte días")

    found = weigh(stored, Inquiry([named("factura"), named("contador", 3.0)]), 1.0)

    assert found.coverage == pytest.approx(0.25)
    assert found.strong == pytest.approx(0.25)
    assert (found.lost, found.lost_most) == (3.0, 3.0)


def test_an_everyday_word_is_no_strong_one() -> None:
    stored = passage("Plazo", "La factura vence")

    found = weigh(stored, Inquiry([named("factura"), named("persona", weak=True)]), 1.0)

    assert found.coverage == pytest.approx(0.5)
    assert (found.strong, found.lost) == (1.0, 0.0)


def test_the_best_of_a_concepts_keys_counts_and_another_word_is_a_guess() -> None:
    stored = passage("Plazo", "El recibo vence")
    other = Concept("word", "factura", {keys_of("recibo", "es")[0]: 0.8}, 1.0, True)

    found = weigh(stored, Inquiry([other]), 1.0)

    assert (found.strong, found.guessed, found.exact) == (0.8, 1.0, 0.0)


def test_a_code_that_the_passage_lacks_is_missing_whatever_else_it_has() -> None:
    stored = passage("Plazo", "La factura vence")
    code = Concept("code", "f 2024 1", {"f20241": 1.0}, 2.0, True)

    assert weigh(stored, Inquiry([named("factura"), code]), 1.0).missing_code == 1.0
    assert weigh(stored, Inquiry([named("factura")]), 1.0).missing_code == 0.0


def test_neighbours_in_the_question_that_are_neighbours_in_the_passage_are_together() -> None:
    asked = Inquiry([named("factura"), named("eléctrica")])

    assert weigh(passage("Aviso", "la factura eléctrica"), asked, 1.0).together == 1.0
    assert weigh(passage("Aviso", "la eléctrica y su factura"), asked, 1.0).together == 0.0


def test_a_heading_named_whole_is_named_whole() -> None:
    asked = Inquiry([named("duplicado"), named("factura")])

    found = weigh(passage("Duplicado de factura", "Pídalo"), asked, 1.0)

    assert (found.titled, found.headed) == (1.0, 1.0)


def test_a_passage_with_nothing_that_was_named_has_lost_it_all() -> None:
    found = weigh(passage("Plazo", "La factura"), Inquiry([named("contador", 2.0)]), 0.5)

    assert (found.coverage, found.lost, found.lexical) == (0.0, 2.0, 0.5)


def test_the_kind_of_answer_wanted_is_held_or_not() -> None:
    stored = passage("Plazo", "La factura")

    assert weigh(stored, Inquiry([named("factura")], "time"), 1.0).intent == 1.0
    assert weigh(stored, Inquiry([named("factura")], "place"), 1.0).intent == 0.0
