"""Marks of typesetting and of templates taken out of text that is to be read aloud. Pure."""

from __future__ import annotations

import re
import unicodedata


_TEMPLATE = re.compile(r"\{%.*?%\}|\{#.*?#\}|\{\{.*?\}\}|\{:.*?\}", re.DOTALL)
"""Liquid and Jinja tags, comments and variables, kramdown's attribute lists."""
_LIGATURES = re.compile("[ﬀ-ﬆ]")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
"""Private use: bullets of symbol fonts, which have no character of their own."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff]")


def clean(text: str) -> str:
    """One line of words: ligatures spelled out, symbol-font bullets as ``-``, spaces single."""
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    text = _INVISIBLE.sub("", _PRIVATE.sub("-", text))
    return " ".join(text.split())


def cut_templates(text: str) -> str:
    """``text`` without template marks; its lines stay where they are."""
    return _TEMPLATE.sub(lambda found: "\n" * found[0].count("\n"), text)
