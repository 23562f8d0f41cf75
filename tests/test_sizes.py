"""Files and functions stay small enough to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.sources import PRODUCTION, ROOT, parsed, sources, statements


pytestmark = pytest.mark.pure


MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and length of each function, from ``def`` to its last line."""
    for node in statements(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(*PRODUCTION)
    }
    longest = sorted(lengths.items(), key=lambda item: -item[1])
    print("The ten longest files:")
    for name, lines in longest[:10]:
        print(f"{lines:5} {name}")

    assert len(lengths) > len(PRODUCTION)
    assert [entry for entry in longest if entry[1] > MAX_FILE_LINES] == []


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path, tree in parsed(*PRODUCTION).items()
        for name, lines in functions(tree)
        if lines > MAX_FUNCTION_LINES
    ]

    assert long == []
