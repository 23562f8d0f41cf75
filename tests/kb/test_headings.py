"""Headings that are questions are hidden and asked; the table of figures is kept by the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb import KbSettings, Passage
from kb.eval_table import BEGINS, ENDS, write_row
from kb.evaluation import EvalReport, InvalidEvalSet, Score, read_hand, read_questions
from kb.headings import hide_headings, index_aside
from kb.search import search_view
from tests.kb.conftest import Write
from tests.kb.test_evaluation import run


pytestmark = pytest.mark.pure


def passage(name: str, heading: tuple[str, ...], text: str) -> Passage:
    return Passage(f"a.md#{name}", "kb://a/b", "a.md", heading, "line 1", text, "es")


HELP = [
    passage("baja", ("Ayuda", "¿Cómo me doy de baja?"), "Llame a la oficina por la mañana."),
    passage("baja-2", ("Ayuda", "¿Cómo me doy de baja?"), "La oficina está en la plaza."),
    passage("enlaces", ("Ayuda", "Más"), "¿Cómo me doy de baja?"),
    passage("pagos", ("Ayuda", "Pagos"), "Se paga con tarjeta.\nCómo me doy de baja"),
]


def test_a_question_is_hidden_wherever_it_stands_and_its_section_answers_it() -> None:
    hidden, (asked,) = hide_headings(HELP)

    assert asked.text == "cómo me doy de baja"
    assert asked.answers == ("a.md#0", "a.md#1")
    assert [(each.heading, each.text) for each in hidden] == [
        (("Ayuda",), "Llame a la oficina por la mañana."),
        (("Ayuda",), "La oficina está en la plaza."),
        (("Ayuda", "Pagos"), "Se paga con tarjeta."),
    ]


def test_what_is_hidden_is_searched_as_any_collection(tmp_path: Path) -> None:
    view = index_aside(hide_headings(HELP)[0], tmp_path, KbSettings())

    result = search_view(
        view, "la tarjeta", KbSettings(), limit=5, language="es", filters=None, min_score=0.0
    )

    assert result.hits[0].passage.id == "a.md#3"


def report(first: int) -> EvalReport:
    return EvalReport({"clean": Score(4, first, first, 0.0, 3, 4)}, 2, 1)


def test_a_set_has_one_row_of_its_last_figures(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"Before.\n{BEGINS}\n{ENDS}\nAfter.\n")

    write_row(page, "b", "a stranger", "words", report(1))
    write_row(page, "a", "a stranger", "words", report(1))
    write_row(page, "b", "a stranger", "words", report(2))

    text = page.read_text()
    rows = [line for line in text.splitlines() if "stranger" in line]
    assert rows == [
        "| a | a stranger | 4 | 0.250 | 1 of 2 | 0.750 | 1.000 | words |",
        "| b | a stranger | 4 | 0.500 | 1 of 2 | 0.750 | 1.000 | words |",
    ]
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")


def test_a_document_without_a_place_for_the_table_is_named(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("Nothing.\n")

    with pytest.raises(InvalidEvalSet, match="README.md"):
        write_row(page, "a", "a stranger", "words", report(1))


def test_a_file_says_whose_hand_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"hand": "a stranger"}\n{"question": "q", "answers": []}\n')

    assert read_hand(path) == "a stranger"
    assert [each.text for each in read_questions(path)] == ["q"]


def test_the_command_asks_the_headings_and_keeps_the_figures(tmp_path: Path, write: Write) -> None:
    write("a/b/ayuda.md", "# Ayuda\n\n## ¿Cómo pago la cuota?\n\nLa cuota se paga con tarjeta.\n")
    nothing = tmp_path / "nothing.jsonl"
    nothing.write_text('{"question": "cuánto pesa la luna", "answers": []}\n')
    page = tmp_path / "README.md"
    page.write_text(f"{BEGINS}\n{ENDS}\n")

    done = run(
        *("kb", "eval", str(nothing), "--headings", "--table", str(page), "--ref", "kb://a/b"),
        *("--documents", str(tmp_path / "documents"), "--index", str(tmp_path / "index")),
    )

    assert done == 0
    (row,) = [line for line in page.read_text().splitlines() if "kb://a/b" in line]
    assert row.startswith("| kb://a/b, headings | the documents' authors | 1 | ")
    assert row.endswith(" | 0 of 1 | 1.000 | 1.000 | words |")
