"""Small talk by kinds: a table of phrasings, and what other hands wrote about the documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kb.passage import Language
from runpod_worker.engines.small_talk import cut_small_talk, kind_of
from tests.runpod_worker.engines.small_talk_phrases import ENGLISH, SPANISH


pytestmark = pytest.mark.pure


EVALUATIONS = Path("kb/eval")
FOR_THE_DOCUMENTS = {"question", "hours", "person", "intro"}
"""Kinds that ask the documents before anything of the reader's own is said."""


@pytest.mark.parametrize(("text", "kind"), SPANISH)
def test_spanish_phrasing_is_of_its_kind(text: str, kind: str) -> None:
    assert kind_of(text, "es") == kind


@pytest.mark.parametrize(("text", "kind"), ENGLISH)
def test_english_phrasing_is_of_its_kind(text: str, kind: str) -> None:
    assert kind_of(text, "en") == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [("ola ke tal", "wellbeing"), ("muchas grasias", "thank"), ("¡BUENOS DÍAS!", "greet")],
)
def test_words_are_known_as_they_sound(text: str, kind: str) -> None:
    assert kind_of(text, "es") == kind


def test_no_question_that_the_documents_answer_is_taken_for_small_talk() -> None:
    answered = [
        row["question"]
        for path in sorted(EVALUATIONS.glob("*.jsonl"))
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if row["answers"]
    ]
    assert len(answered) > 800
    assert [text for text in answered if kind_of(text, "es") not in FOR_THE_DOCUMENTS] == []


@pytest.mark.parametrize(
    ("text", "language", "rest"),
    [
        ("No tengo agua en casa, ¿qué hago?", "es", "No tengo agua en casa"),
        ("Hola, soy Marta. ¿Cuánto vale el agua?", "es", "Cuánto vale el agua"),
        (
            "Factura F-2024-1234, importe 1.500,50 €",
            "es",
            "Factura F-2024-1234, importe 1.500,50 €",
        ),
        ("Hi! How are you? My bill is wrong.", "en", "My bill is wrong"),
    ],
)
def test_parts_without_a_question_are_cut(text: str, language: Language, rest: str) -> None:
    assert cut_small_talk(text, language) == rest
