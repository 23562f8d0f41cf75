"""What the report says: the words of the dashboard's page, read from its own file.

The page has them as a JavaScript object; its plain texts are read here, so that both say the same.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path


WEB = Path(__file__).resolve().parent.parent / "web"
_PAIR = re.compile(r"""(?:(\w+)|"([^"]+)"): "((?:[^"\\]|\\.)*)\"""")

Words = dict[str, dict[str, str]]


@cache
def read_words(language: str) -> Words:
    """By group, then by name: ``figures``, ``outcomes`` …; ``""`` has what stands in none.

    Raises:
        KeyError: there is no such language.
    """
    path = {"es": WEB / "words-es.js", "en": WEB / "words-en.js"}[language]
    text = path.read_text(encoding="utf-8")
    calls = _read_part(text, "calls")
    shared = {"calls": calls[""], "modes": calls["modes"], "edges": calls["edges"]}
    return {**_read_part(text, "dashboard"), **shared}


def _read_part(text: str, name: str) -> Words:
    """The plain texts of a page's words, whose groups stand two spaces further in."""
    part = re.search(rf"^  {name}: {{\n(.*?)^  }},\n", text, re.DOTALL | re.MULTILINE)
    assert part is not None
    found: Words = {"": {}}
    rest = part[1]
    for group in re.finditer(r"^    (\w+): {(.*?)},\n", part[1], re.DOTALL | re.MULTILINE):
        found[group[1]] = _pairs(group[2])
        rest = rest.replace(group[0], "")
    found[""] = _pairs(rest)
    return found


def _pairs(text: str) -> dict[str, str]:
    return {bare or quoted: said for bare, quoted, said in _PAIR.findall(text)}
