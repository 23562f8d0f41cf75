"""The tree drawn in penny/errors.py is the tree of its classes."""

from __future__ import annotations

import inspect
import re

from penny import errors


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
    classes = [
        item
        for item in vars(errors).values()
        if inspect.isclass(item) and item.__module__ == errors.__name__
    ]
    return {
        item.__name__: None if item.__bases__ == (Exception,) else item.__bases__[0].__name__
        for item in classes
    }


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn() == defined()
    assert len(drawn()) > 5


def test_every_family_of_errors_has_its_own_code() -> None:
    # A class below one of these may share its code: it only says more about the same fault.
    families = [name for name, parent in defined().items() if parent in (None, "PennyError")]
    codes = [getattr(errors, name).code for name in families]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
