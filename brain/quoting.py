"""Words of callers, documents and tools, quoted as data with their source. Pure.

Whatever they contain, they stay on one line and cannot open or close a heading, a tag or the
quotation they stand in: the speaker and the brain can tell them from Penny's own text.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from penny.localized import language_of


MAX_QUOTED_CHARS = 4_000
MAX_DEPTH = 12
_SOURCE = {"es": "fuente", "en": "source"}
_PLAIN = {"<": "‹", ">": "›", "[": "(", "]": ")", "{": "{", "}": "}", "‹": "‹", "›": "›"}


def clean_text(text: str, limit: int = MAX_QUOTED_CHARS) -> str:
    """One line of text without signs that open or close something; the words stay as they are.

    Full-width and other look-alikes of brackets count as brackets. Longer than ``limit`` it is
    cut, with ``…`` at its end. Cleaning twice changes nothing more.
    """
    signs = []
    for sign in text[: limit * 2]:
        category = unicodedata.category(sign)
        if category[0] in "CZ":
            signs.append(" ")
            continue
        plain = unicodedata.normalize("NFKC", sign)
        plain = plain if len(plain) == 1 and plain in _PLAIN else sign
        if plain in _PLAIN:
            signs.append(_PLAIN[plain])
        elif category in ("Pi", "Pf"):
            signs.append("'" if sign in "‘’" else '"')
        elif category in ("Ps", "Pe"):
            # Brackets of other scripts and their small or high forms, and low quotes.
            signs.append('"' if sign in "‚„〝〟" else "(" if category == "Ps" else ")")
        else:
            signs.append(sign)
    line = " ".join("".join(signs).split())
    return line if len(line) <= limit and len(text) <= limit * 2 else line[: limit - 1] + "…"


def quote(data: object, source: str, language: str) -> str:
    """``«data» (fuente: source)`` on one line; what is no text is given as JSON."""
    text = clean_text(data) if isinstance(data, str) else dump_quoted(data)[:MAX_QUOTED_CHARS]
    label = _SOURCE[language_of(language)]
    named = clean_text(source, 200).replace("(", "").replace(")", "")
    return f"«{text}» ({label}: {named})"


def quote_json(value: Any, depth: int = 0) -> Any:
    """The same JSON with every text in it cleaned, keys too; nested too deep it is left out."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {clean_text(str(k), 200): quote_json(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [quote_json(each, depth + 1) for each in value]
    return clean_text(str(value))


def dump_quoted(value: object) -> str:
    """A value as one line of JSON, cleaned."""
    return json.dumps(quote_json(value), ensure_ascii=False)
