"""Writes an answer as it is read aloud, in Spanish and in English. Pure; it never raises.

Text in any other language only loses its layout: its numbers are its voice's to read. The text
returned is for the synthesis only: transcripts keep the original.
"""

from __future__ import annotations

import re
from functools import lru_cache

from runpod_worker.spoken import english, spanish
from runpod_worker.spoken.markup import flatten
from runpod_worker.spoken.scanner import scan


_KINDS = {"es": spanish.KINDS, "en": english.KINDS}
# Letters that a pattern takes for i, s or k and that no table knows.
_ALIKE = str.maketrans({"İ": "I", "ı": "i", "ſ": "s", "\u212a": "K"})
_DECIMAL_APOSTROPHE = re.compile(r"(?<=\d)['’](?=\d{1,2}(?!\d|\w|\s?[\"″”]))")
_SPACES = re.compile(r"[ \t\u00a0\u202f]{2,}")
_SPACE_BEFORE_MARK = re.compile(r"\s+([,.;:!?])(?=\s|$)")


@lru_cache(64)  # a phrase is written where it is looked at and again where it is said
def write_for_speech(text: str, language: str) -> str:
    """``text`` as it should be read aloud in ``language``, a BCP 47 tag ("" is Spanish)."""
    speech = language.lower()[:2] or "es"
    plain = flatten(text, speech)
    if speech == "es":
        plain = _DECIMAL_APOSTROPHE.sub(",", plain)
    kinds = _KINDS.get(speech)
    said = scan(plain.translate(_ALIKE), kinds) if kinds is not None else plain
    if said == text:
        return text
    lead, trail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    said = _SPACE_BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", said)).strip()
    return f"{lead}{said}{trail}" if said else ""
