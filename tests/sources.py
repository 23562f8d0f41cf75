"""The code of Penny as tests read it: every file is parsed once in a process.

Without the garbage collector: half the time, and Python 3.11.2 (Debian 12) loses count of its depth
when a collection falls into ``ast.parse`` (fixed in 3.11.5).
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path


ROOT = Path(__file__).parent.parent
PRODUCTION = ("penny", "modes", "brain", "kb", "config", "runpod_worker")


def sources(*folders: str) -> Iterator[Path]:
    """Every Python file of some folders of the repository, in order."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        if collecting:
            gc.enable()


@cache
def parsed(*folders: str) -> dict[Path, ast.Module]:
    """Every Python file of some folders of the repository, in order, and its tree."""
    return {path: _tree(path) for path in sources(*folders)}


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The tree and every statement in it, not their expressions: a tenth of ``ast.walk``."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        yield node
        for name in ("cases", "finalbody", "orelse", "handlers", "body"):
            left.extend(reversed(getattr(node, name, ())))
