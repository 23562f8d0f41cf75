"""The table of words near in meaning, and what the search makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb import KbSettings, KnowledgeBase
from kb.near_words import load_relations
from kb.normal.stems import key_of
from kb.query import build_concepts
from tests.kb.conftest import SAMPLE


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("word", "other"), [("plata", "dinero"), ("multa", "sanción"), ("coche", "automóvil")]
)
def test_words_of_one_meaning_are_near(word: str, other: str) -> None:
    near = dict(load_relations("es").near(key_of(word, "es")))

    assert near[key_of(other, "es")] > 0.5


def test_a_language_without_a_table_has_no_near_words() -> None:
    assert load_relations("en").near("water") == []


def test_a_word_of_no_list_tells_less_than_one_of_another_subject(sample: KnowledgeBase) -> None:
    vocabulary = sample.view(SAMPLE).vocabulary

    garbled, other = build_concepts("gualbox saxofón", "es", vocabulary)

    assert not garbled.known
    assert not other.known
    assert garbled.weight < other.weight


def test_every_word_counts_as_common_in_a_language_without_a_table(sample: KnowledgeBase) -> None:
    vocabulary = sample.view(SAMPLE).vocabulary

    (unknown,) = build_concepts("gualbox", "en", vocabulary)
    (garbled,) = build_concepts("gualbox", "es", vocabulary)

    assert unknown.weight > garbled.weight


def test_the_nearest_come_first_and_none_is_likelier_than_certain() -> None:
    likes = [like for _, like in load_relations("es").near(key_of("factura", "es"))]

    assert likes == sorted(likes, reverse=True)
    assert 0.0 <= min(likes) <= max(likes) <= 1.0


def test_a_word_that_no_document_has_finds_what_means_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "documents" / "garaje" / "ayuda"
    folder.mkdir(parents=True)
    (folder / "plazas.md").write_text(
        "# Plazas\n\n## Plaza para automóvil\n\nUna plaza de automóvil cuesta noventa euros.\n\n"
        "## Plaza para bicicleta\n\nUna plaza de bicicleta cuesta diez euros.\n",
        encoding="utf-8",
    )
    base = KnowledgeBase.open(KbSettings(tmp_path / "documents", tmp_path / "index", relevance=0.0))

    first = base.search("kb://garaje/ayuda", "cuánto cuesta una plaza para el coche").hits[0]

    assert first.passage.id == "plazas.md#plaza-para-automovil"
    base.close()
