"""Texts and lists of words that the brain goes by, one file each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from penny.localized import language_of


_FOLDER = Path(__file__).parent


def read_text(name: str, kind: str = "txt") -> str:
    """The text of a file; a line that ends in a backslash goes on."""
    text = (_FOLDER / f"{name}.{kind}").read_text(encoding="utf-8")
    return text.replace("\\\n", "").strip()


def read_words(name: str) -> frozenset[str]:
    """The words of ``name.txt``, lower case, in Spanish without accents."""
    return frozenset(read_text(name).split())


def read_table(name: str) -> dict[str, Any]:
    """The mapping in ``name.yaml``."""
    table: dict[str, Any] = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return table


@cache
def _told() -> dict[str, dict[str, str]]:
    return read_table("told")


def texts_of(language: str) -> dict[str, str]:
    """The sentences of ``told.yaml`` for a BCP-47 language."""
    return _told()[language_of(language)]
