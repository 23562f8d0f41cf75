"""Words that were heard beside those that were said, and turns beside where speech was."""

from __future__ import annotations

import re
from collections.abc import Sequence


_WORD = re.compile(r"[^\W_]+")
_SPELLED = {"5": "cinco"}


def words_of(text: str) -> list[str]:
    """Lower case, without punctuation; the one digit of the recordings as a word."""
    return [_SPELLED.get(word, word) for word in _WORD.findall(text.lower())]


def count_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Least substitutions, insertions and deletions that make one of the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            same = before + (word != other)
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, same)
    return row[-1]
