"""Asking back, on sixty calls by another hand than the code's (`data/README.md`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penny.correction.asking import Asking, Question, read_answer
from penny.correction.doubts import HeardWord, plain


pytestmark = pytest.mark.pure

Json = dict[str, Any]

CALLS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "clarify.jsonl").read_text().splitlines()
]
BELOW, MOST = 0.5, 3


def heard(turn: Json) -> list[HeardWord]:
    return [HeardWord(word, confidence) for word, confidence in turn["words"]]


def typed(text: str) -> list[HeardWord]:
    return [HeardWord(word) for word in text.split()]


def doubting(text: str, word: str) -> list[HeardWord]:
    return [HeardWord(each, 0.3 if each == word else 0.95) for each in text.split()]


def ask(text: str, word: str, language: str = "es") -> Question:
    question = Asking(BELOW, MOST).hear(doubting(text, word), language).question
    assert question is not None
    return question


def meant(sentence: str) -> list[str]:
    return [plain(word) for word in sentence.split()]


def test_callers_are_asked_where_it_matters_and_what_they_answer_settles_it() -> None:
    planted = asked = needless = resolved = others = 0
    for call in CALLS:
        asking = Asking(BELOW, MOST)
        for turn in call["turns"]:
            step = asking.hear(heard(turn), "es")
            if not turn["should_ask"]:
                others += 1
                needless += step.question is not None
                continue
            planted += 1
            asked += step.question is not None
            replies = list(turn["reply_when_asked"])
            while step.question is not None and replies:
                step = asking.hear(typed(replies.pop(0)), "es")
            resolved += meant(step.sentence) == meant(turn["truth"])
    assert (planted, others) == (35, 111)
    assert asked >= 0.95 * planted
    assert needless <= 0.02 * others
    assert resolved >= 0.90 * planted


def test_a_call_is_asked_three_times_at_most_and_never_the_same_slot_in_the_same_way() -> None:
    asking = Asking(BELOW, MOST)
    step = asking.hear(doubting("son setenta euros", "setenta"), "es")
    questions = [step.question, *(asking.hear(typed("no"), "es").question for _ in range(2))]
    assert [each.way for each in questions if each] == ["implicit", "explicit", "spelled"]
    assert [each.text for each in questions if each] == [
        "Setenta euros, ¿verdad?",
        "¿Ha dicho setenta o sesenta?",
        "¿Me lo dice letra a letra, o número a número?",
    ]
    step = asking.hear(typed("no"), "es")
    assert step.question is None
    assert step.sentence == "son setenta euros"
    assert asking.hear(doubting("el martes", "martes"), "es").question is None


def test_who_goes_on_with_another_sentence_is_answered_that_and_not_asked_again() -> None:
    asking = Asking(BELOW, MOST)
    asking.hear(doubting("son setenta euros", "setenta"), "es")
    step = asking.hear(typed("mire, mejor páseme con una persona"), "es")
    assert (step.question, step.sentence) == (None, "")
    assert step.answered is not None
    assert step.answered.outcome == "unclear"


@pytest.mark.parametrize(
    ("said", "word", "reply", "outcome", "sentence"),
    [
        ("son setenta euros", "setenta", "sí", "confirmed", "son setenta euros"),
        ("son setenta euros", "setenta", "setenta", "confirmed", "son setenta euros"),
        ("son setenta euros", "setenta", "no, sesenta", "replaced", "son sesenta euros"),
        ("son setenta euros", "setenta", "6 0", "replaced", "son 60 euros"),
        ("son setenta euros", "setenta", "no", "refused", "son setenta euros"),
        ("son setenta euros", "setenta", "", "unclear", "son setenta euros"),
        ("mi saldo no, mi salgo", "salgo", "sí", "replaced", "mi saldo no, mi saldo"),
        ("me llamo Marta Gil", "Marta", "be, e, erre, te, a", "replaced", "me llamo berta Gil"),
        ("quiero darme de alta", "alta", "no, de baja", "replaced", "quiero darme de baja"),
        ("acaba en siete cero efe", "efe", "ese de Sevilla", "replaced", "acaba en siete cero ese"),
    ],
)
def test_an_answer_is_read(said: str, word: str, reply: str, outcome: str, sentence: str) -> None:
    answer = read_answer(ask(said, word), reply)
    assert (answer.outcome, " ".join(answer.words)) == (outcome, sentence)


def test_in_english() -> None:
    question = ask("I owe fifteen dollars", "fifteen", "en")
    assert question.text == "Fifteen dollars, right?"
    assert read_answer(question, "no, fifty").words == ("I", "owe", "fifty", "dollars")


def test_a_long_row_of_figures_is_not_said_back_but_asked_for_again() -> None:
    row = " ".join(["siete"] * 12)
    question = ask(f"es {row} cuatro", "cuatro")
    assert question.way == "spelled"
