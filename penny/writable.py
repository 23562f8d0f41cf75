"""Text and values that can be written as JSON in UTF-8, wherever they came from. Pure.

Half of a surrogate pair is legal in JSON's escapes and in Python's text, and in no UTF-8: one of
them, written as it is, ends the task that writes.
"""

from __future__ import annotations

from typing import Any

import orjson


def mend_text(text: str) -> str:
    """``text`` with its surrogate pairs joined; U+FFFD stands for a half without the other."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def mend_json(value: object) -> Any:
    """``value`` as JSON can hold it: texts mended; what JSON has no form for, as its text."""
    match value:
        case None | bool() | float():
            return value
        case str():
            return mend_text(str(value))
        case int() if -(2**63) <= value < 2**64:
            return int(value)
        case dict():
            return {mend_text(str(key)): mend_json(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [mend_json(inner) for inner in value]
        case _:
            return mend_text(str(value))


def dump_json(value: object) -> bytes:
    """``value`` as JSON; what cannot be written is mended first.

    Raises:
        TypeError: it is nested deeper than 254.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(mend_json(value))


class TextJoiner:
    """Mends a text that comes in pieces, which may be cut inside a character."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """What can be written of it; the first half of a pair waits for the next piece."""
        text, self._half = self._half + piece, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return mend_text(text)

    def flush(self) -> str:
        """What waited in vain."""
        half, self._half = self._half, ""
        return mend_text(half)
