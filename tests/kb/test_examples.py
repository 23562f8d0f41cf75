from __future__ import annotations

import pytest

from kb.examples import choose_examples
from kb.passage import Question


pytestmark = pytest.mark.pure


def listed(*texts: str) -> list[Question]:
    """One question per document, unless the text names its document before a bar."""
    return [
        Question(text.rpartition("|")[2], f"{text.rpartition('|')[0] or at}.md#x", "es")
        for at, text in enumerate(texts)
    ]


def test_examples_are_questions_spread_over_the_documents() -> None:
    questions = listed(
        "a|qué plazo tengo", "a|cómo pago", "b|quiero la baja", "b|cuándo abren", "c|dónde están"
    )
    assert choose_examples(questions, "es", 2) == ["¿Qué plazo tengo?", "¿Cuándo abren?"]


def test_a_wish_stands_in_where_too_few_ask() -> None:
    questions = listed("quiero la baja", "qué plazo tengo")
    assert choose_examples(questions, "es") == ["¿Qué plazo tengo?", "Quiero la baja."]
    assert choose_examples([], "es") == []


def test_english_has_no_opening_mark() -> None:
    question = Question("what are your opening hours", "en/customers.md#hours", "en")
    assert choose_examples([question], "en") == ["What are your opening hours?"]
