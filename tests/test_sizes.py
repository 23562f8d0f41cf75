"""Files and functions stay small enough to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest


pytestmark = pytest.mark.pure


ROOT = Path(__file__).parent.parent
PACKAGES = ("penny", "modes", "brain", "kb", "config", "runpod_worker")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length of each function, from ``def`` to its last line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources()
    }
    longest = sorted(lengths.items(), key=lambda item: -item[1])
    print("The ten longest files:")
    for name, lines in longest[:10]:
        print(f"{lines:5} {name}")

    assert len(lengths) > len(PACKAGES)
    assert [entry for entry in longest if entry[1] > MAX_FILE_LINES] == []


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path in sources()
        for name, lines in functions(path)
        if lines > MAX_FUNCTION_LINES
    ]

    assert long == []
