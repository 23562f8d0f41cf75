"""The report: the dashboard's figures in one file that asks nobody for anything."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from penny.calls.store import CallStore
from penny.cli.main import main
from penny.figures.report import write_value
from penny.figures.tables import FIGURES
from penny.figures.words import read_words
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_figure_has_its_words_in_both_languages(language: str) -> None:
    say = read_words(language)
    assert set(say["figures"]) == set(say["about"]) == {figure.name for figure in FIGURES}
    for group in ("tables", "stages", "levels", "outcomes", "intents", "ends", "modes", "edges"):
        assert all(say[group].values()), group
    assert {name: set(words) for name, words in say.items()} == {
        name: set(words) for name, words in read_words("es").items()
    }


@pytest.mark.parametrize(
    ("unit", "value", "es", "en"),
    [
        ("share", 0.7834, "78,3 %", "78.3 %"),
        ("share", 1, "100 %", "100 %"),
        ("ms", 450, "450 ms", "450 ms"),
        ("ms", 2140, "2,1 s", "2.1 s"),
        ("s", 210, "3:30", "3:30"),
        ("score", -0.25, "-0,25", "-0.25"),
        ("usd", 0.0042, "$0,0042", "$0.0042"),
        ("calls", None, "—", "—"),
    ],
)
def test_a_figure_is_written_as_a_person_writes_it(
    unit: str, value: float | None, es: str, en: str
) -> None:
    assert (write_value(unit, value, "es"), write_value(unit, value, "en")) == (es, en)


async def keep(path: Path) -> None:
    store = CallStore(f"sqlite:///{path}")
    for number in range(3):
        call = a_call(number, started_at=datetime(2026, 11, 10, 9, number, tzinfo=UTC))
        call.metrics |= {"outcome": "resolved", "topics": ["<script>alert(1)</script>"]}
        await store.put(call)
    await store.aclose()


async def test_one_file_has_the_figures_and_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    await keep(tmp_path / "calls.sqlite")
    file = tmp_path / "penny.yaml"
    file.write_text("calls: {folder: ., url: 'sqlite:///calls.sqlite'}\n")
    given = ["report", "--config", str(file), "--from", "2026-11-01", "--to", "2026-11-30"]
    output = tmp_path / "report.html"
    assert await asyncio.to_thread(main, [*given, "--output", str(output)]) == 0
    page = output.read_text(encoding="utf-8")
    read = Text()
    read.feed(page)
    assert not {"script", "link", "img", "iframe", "a"} & set(read.tags)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "Resueltas" in read.cells
    assert "3 / 3" in page
    assert "<script>alert(1)</script>" in read.cells  # as text
    assert await asyncio.to_thread(main, [*given[:-1], "2026-10-01"]) == 1
    assert "--from" in capsys.readouterr().err
