"""The tree drawn in penny/errors.py is the tree of every PennyError of every package."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from penny import errors
from tests.sources import PRODUCTION, parsed, statements


pytestmark = pytest.mark.pure


DRAWN = re.compile(r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)")


def drawn() -> dict[str, str | None]:
    """Class -> parent, read from the docstring's drawing."""
    assert errors.__doc__ is not None
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines()[1:]:
        if match := DRAWN.match(line):
            depth = len(match["indent"]) // 4 + ("── " in line)
            path[depth:] = [match["name"]]
            parents[match["name"]] = path[depth - 1] if depth else None
    return parents


def defined() -> dict[str, str | None]:
    """Class -> parent, of all sources: a module need not be importable here (torch)."""
    bases: dict[str, str] = {}
    for tree in parsed(*PRODUCTION).values():
        for node in statements(tree):
            if isinstance(node, ast.ClassDef) and node.bases:
                base = node.bases[0]
                name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                bases[node.name] = name
    found: dict[str, str | None] = {"PennyError": None}
    while new := {n: b for n, b in bases.items() if b in found and n not in found}:
        found |= new
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn() == defined()
    assert len(drawn()) > 15


def test_every_family_of_errors_has_its_own_code() -> None:
    # A class below one of these may share its code: it only says more about the same fault.
    classes = [item for item in vars(errors).values() if inspect.isclass(item)]
    families = [c for c in classes if c.__bases__[0].__name__ in ("Exception", "PennyError")]
    codes = [item.code for item in families]

    assert len(codes) > 5
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
