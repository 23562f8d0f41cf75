"""Words that callers use for one another; each language's list is a data file beside this one.

A line ``recibo factura`` makes its words stand for each other; ``>`` makes it one-way
(``moroso > deuda``): the left words also look for the right ones. A number at the end is the
weight, 0.8 when absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from kb.normal.analysis import keys_of
from kb.passage import Language


_FOLDER = Path(__file__).parent / "thesaurus"
_WEIGHT = 0.8


@lru_cache(maxsize=2)
def load_synonyms(language: Language) -> dict[str, dict[str, float]]:
    """Return key -> the keys it also stands for, with their weight."""
    path = _FOLDER / f"{language}.txt"
    return parse_synonyms(path.read_text(encoding="utf-8").splitlines(), language)


def parse_synonyms(lines: Iterable[str], language: Language) -> dict[str, dict[str, float]]:
    related: dict[str, dict[str, float]] = {}
    for line in lines:
        bare = line.split("#", 1)[0].split()
        if not bare:
            continue
        weight = float(bare.pop()) if bare[-1].replace(".", "", 1).isdigit() else _WEIGHT
        one_way = ">" in bare
        middle = bare.index(">") if one_way else len(bare)
        left = _keys(bare[:middle], language)
        right = _keys(bare[middle + 1 :], language) if one_way else left
        for key in left:
            into = related.setdefault(key, {})
            for other in right:
                if other != key:
                    into[other] = max(weight, into.get(other, 0.0))
    return related


def _keys(words: list[str], language: Language) -> list[str]:
    return [key for word in words for key in keys_of(word, language)[:1]]


@lru_cache(maxsize=2)
def load_elsewhere(language: Language) -> frozenset[str]:
    """Return the keys of subjects of other trades; empty for a language without a list."""
    path = _FOLDER / f"elsewhere_{language}.txt"
    if not path.is_file():
        return frozenset()
    lines = path.read_text(encoding="utf-8").splitlines()
    words = (word for line in lines if not line.startswith("#") for word in line.split())
    return frozenset(key for word in words for key in keys_of(word, language)[:1])
