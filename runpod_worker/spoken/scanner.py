"""One pass over a text in which the kind that fits most of it is read, and nothing is read twice.

A kind is a pattern and how to say what it matched. At each place where a word may begin, every kind
is tried; the longest match wins, the earlier kind among equals. What a kind says is never matched
again, so that no rule sees another's words. A kind may decline a match by returning None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial


Say = Callable[[re.Match[str]], str | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of writing something, and how it is said."""

    name: str
    pattern: re.Pattern[str]
    say: Say


def kind(name: str, pattern: str, say: Say | str, *, cased: bool = False) -> Kind:
    """A kind; ``say`` may be a fixed text. Letter case counts only if ``cased``."""
    saying: Say = partial(_fixed, say) if isinstance(say, str) else say
    return Kind(name, re.compile(pattern, 0 if cased else re.IGNORECASE), saying)


def _fixed(words: str, _match: re.Match[str]) -> str:
    return words


def scan(text: str, kinds: Sequence[Kind]) -> str:
    """``text`` with everything that a kind fits replaced by how it is said."""
    said: list[str] = []
    at = 0
    while at < len(text):
        inside_word = at > 0 and _is_word(text[at - 1]) and _is_word(text[at])
        end, words = (at, None) if inside_word else _best(text, at, kinds)
        if words is None:
            end = _word_end(text, at)
            words = text[at:end]
        elif words:
            words = _joined(words, text, at, end)
        said.append(words)
        at = end
    return "".join(said)


def _is_word(char: str) -> bool:
    """A letter or a digit; the marks of an ordinal are letters to Unicode, and end a word here."""
    return char.isalnum() and char not in "ºª"


def _joined(words: str, text: str, start: int, end: int) -> str:
    """``words`` apart from what touches them, with the point that also ended the sentence."""
    if start and text[start - 1].isalnum() and words[0].isalnum():
        words = f" {words}"
    if text[end - 1] == "." and words[-1] != "." and not text[end:].split("\n")[0].strip():
        return f"{words}."
    return f"{words} " if words[-1].isalnum() and text[end : end + 1].isalnum() else words


def _best(text: str, at: int, kinds: Sequence[Kind]) -> tuple[int, str | None]:
    found = [
        (match.end(), each, match) for each in kinds if (match := each.pattern.match(text, at))
    ]
    for end, each, match in sorted(found, key=lambda one: -one[0]):
        if end > at and (words := each.say(match)) is not None:
            return end, words
    return at, None


def _word_end(text: str, at: int) -> int:
    """The end of the run of letters or digits at ``at``, or of the one other character there."""
    end = at
    while end < len(text) and text[end].isalnum() and text[end].isdecimal() == text[at].isdecimal():
        end += 1
    return max(end, at + 1)
