"""The words of a company that speech recognition would miss: names, and long words of its trade.

Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable


MIN_TERM_LETTERS = 8
"""Shorter words are everyday ones, which Whisper knows by itself."""
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def choose_hot_words(texts: Iterable[str], limit: int) -> tuple[str, ...]:
    """At most ``limit`` words: names first, then long words, the more frequent before the rarer.

    A name is written with a capital where no sentence begins, and nowhere without one; or it
    holds a digit beside letters.
    """
    names: Counter[str] = Counter()
    everyday: set[str] = set()
    terms: Counter[str] = Counter()
    for text in texts:
        for match in _WORD.finditer(text):
            word = match[0]
            before = text[: match.start()].rstrip(" ")
            begins = not before or not (before[-1].isalnum() or before[-1] in ",;")
            if (word[0].isupper() and not begins) or _mixes_digits(word):
                names[word] += 1
            elif len(word) >= MIN_TERM_LETTERS:
                terms[word.lower()] += 1
            if word.islower():
                everyday.add(word)
    ranked = [word for word, _ in names.most_common() if word.lower() not in everyday]
    ranked += [word for word, _ in terms.most_common()]
    return tuple(dict.fromkeys(ranked))[:limit]


def _mixes_digits(word: str) -> bool:
    return any(map(str.isdigit, word)) and any(map(str.isalpha, word))
