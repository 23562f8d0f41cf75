"""The judge of the newcomer's answers, and the word error of the voice's trial."""

from __future__ import annotations

import pytest

from tests.newcomer.natural import count_errors, split
from tests.newcomer.questions import Question, read_questions


pytestmark = pytest.mark.pure


PLAN = Question("es", "em_alex", "¿A qué hora abrís?", ("ocho|8", "dos|2|14"))


def test_an_answer_with_every_fact_is_right_whatever_its_accents() -> None:
    assert PLAN.missing("De Ócho a DOS.") == []
    assert PLAN.missing("De 8 a 14 horas") == []


def test_a_missing_fact_is_named_and_a_part_of_a_word_is_none() -> None:
    assert PLAN.missing("A las dieciocho, todos") == ["ocho|8", "dos|2|14"]


def test_there_are_ten_questions_in_two_languages() -> None:
    questions = read_questions()

    assert len(questions) == 10
    assert {question.language for question in questions} == {"es", "en"}
    assert all(question.facts for question in questions)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("Cinco días.", "cinco dias", 0),
        ("de la tarde", "de tarde", 1),
        ("de la tarde", "de la la carne", 2),
        ("hola", "", 1),
    ],
)
def test_word_errors(said: str, heard: str, errors: int) -> None:
    assert count_errors(split(said), split(heard)) == errors
