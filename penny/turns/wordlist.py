"""Lists of words as they are written in the code."""

from __future__ import annotations


def words_of(*lines: str) -> frozenset[str]:
    """The words of all lines."""
    return frozenset(" ".join(lines).split())
