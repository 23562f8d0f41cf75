"""Questions by the documents' own authors: headings that are questions, hidden and asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kb.collection import View
from kb.evaluation import EvalQuestion
from kb.index import CollectionIndex
from kb.normal.words import plain_words
from kb.passage import Passage
from kb.settings import KbSettings
from kb.vectors import make_vectors, read_vectors


def hide_headings(passages: Sequence[Passage]) -> tuple[list[Passage], list[EvalQuestion]]:
    """Return the passages without the headings that are questions, and those questions. Pure.

    What stands under such a heading answers it. A line that repeats one, such as a link to it, goes
    from every passage, and a passage of nothing else goes whole.
    """
    asked = {plain_words(each.heading[-1]): each.heading[-1] for each in passages if _asks(each)}
    hidden: list[Passage] = []
    answers: dict[str, list[str]] = {name: [] for name in asked}
    for number, passage in enumerate(passages):
        lines = [each for each in passage.text.split("\n") if plain_words(each) not in asked]
        if not lines:
            continue
        above = [each for each in passage.heading if plain_words(each) not in asked]
        name = f"{passage.source}#{number}"
        hidden.append(
            replace(passage, id=name, heading=tuple(above or ["-"]), text="\n".join(lines))
        )
        if _asks(passage):
            answers[plain_words(passage.heading[-1])].append(name)
    return hidden, [
        EvalQuestion(text.strip("¿? ").lower(), tuple(answers[name]), "headings")
        for name, text in asked.items()
        if answers[name]
    ]


def _asks(passage: Passage) -> bool:
    return passage.heading[-1].rstrip().endswith("?")


def index_aside(passages: Sequence[Passage], folder: Path, settings: KbSettings) -> View:
    """Index passages in a folder of their own, with vectors where there is an embedder.

    Raises:
        IndexUnavailable: the folder cannot be used.
        EmbeddingFailed: no vectors could be made.
    """
    index = CollectionIndex(folder)
    writer = index.writer(settings.writer_memory_mb)
    for passage in passages:
        writer.add_passage(passage)
    writer.commit()
    writer.close()
    searcher = index.searcher()
    vectors = None
    if settings.embedder is not None:
        make_vectors(searcher, folder, settings.embedder)
        vectors = read_vectors(searcher, folder, settings.embedder)
    return View(searcher, (index.stamp(),), vectors, folder)
