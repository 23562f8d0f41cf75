"""Sentences that a person sees, in Spanish and English."""

from __future__ import annotations

from typing import Literal


Language = Literal["es", "en"]


class Localized(str):
    """An English sentence that brings its Spanish along.

    To logs, errors and tools it is the English one; a page asks ``in_language`` for either.
    """

    __slots__ = ("es",)

    es: str

    def __new__(cls, en: str, es: str) -> Localized:
        made = super().__new__(cls, en)
        made.es = es
        return made

    def __reduce__(self) -> tuple[type[Localized], tuple[str, str]]:
        return Localized, (str(self), self.es)


def language_of(tag: str) -> Language:
    """English for its BCP-47 tags, Spanish for every other."""
    return "en" if tag.lower().startswith("en") else "es"


def in_language(text: str, language: str) -> str:
    """Return ``text`` in a BCP-47 language; Spanish or English, what it has where not both."""
    spanish = isinstance(text, Localized) and language.lower().startswith("es")
    return text.es if spanish and isinstance(text, Localized) else str(text)
