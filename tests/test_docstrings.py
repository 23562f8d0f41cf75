"""Every class says first what it is, in words that a stranger searches for."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.sources import PRODUCTION, ROOT, parsed, statements


pytestmark = pytest.mark.pure

PERSONS = re.compile(r"\b(she|her|herself|nobody|whoever|somebody)\b", re.IGNORECASE)
"""Words that stand where the subject of a sentence should: which component does it?"""
DOCUMENT = re.compile(r"[\w./-]+\.(?:md|txt)\b")


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def docstrings() -> list[tuple[str, Path, Documented, str]]:
    """Place, file, node and docstring of every module, class and function; "" where none is."""
    return [
        (
            f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}",
            path,
            node,
            ast.get_docstring(node) or "",
        )
        for path, tree in parsed(*PRODUCTION).items()
        for node in statements(tree)
        if isinstance(node, Documented)
    ]


def test_every_class_has_a_first_sentence() -> None:
    assert [
        f"{place} {node.name}"
        for place, _, node, text in docstrings()
        if isinstance(node, ast.ClassDef) and (not text or text.startswith("Args:"))
    ] == []


def test_docstrings_name_components_and_not_persons() -> None:
    assert [
        f"{place} {found.group()}"
        for place, _, _, text in docstrings()
        if (found := PERSONS.search(text))
    ] == []


def test_every_document_that_a_docstring_names_is_here() -> None:
    def is_here(name: str, path: Path) -> bool:
        return any((folder / name).exists() for folder in (ROOT, *path.parents)) or any(
            (ROOT / package).rglob(Path(name).name) for package in (*PRODUCTION, "docs")
        )

    assert [
        f"{place} {name}"
        for place, path, _, text in docstrings()
        for name in DOCUMENT.findall(text)
        if not is_here(name, path)
    ] == []
