"""Text as it is compared: letter by letter as long as before, without accents or capitals. Pure."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Lower case without accents, each character at the place it had."""
    return "".join(_plain(each) for each in text)


def _plain(character: str) -> str:
    first = unicodedata.normalize("NFKD", character.lower())[:1]
    return first or character
