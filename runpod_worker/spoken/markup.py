"""Layout that is seen and not heard: Markdown, HTML, tables, lists and pictograms.

Text comes in phrases, so that a mark may stand without the one that closes it.
"""

from __future__ import annotations

import html
import re
import unicodedata


_FENCE = re.compile(r"^[ \t]*(```|~~~).*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:([-*_])[ \t]*)(?:\1[ \t]*){2,}$", re.MULTILINE)
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t:|-]*-{2,}[ \t:|-]*$", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|(.*?)\|?[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*>+(?!\d)[ \t]?", re.MULTILINE)
_BULLET = re.compile(
    r"^[ \t]*(?:[-*•·▪◦‣–]|\[[ xX]\])[ \t]+(?:\[[ xX]\][ \t]+)?(\S.*?)[ \t]*$", re.MULTILINE
)
_NUMBERED = re.compile(r"^[ \t]*(\d{1,2})[.)][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_LETTERED = re.compile(r"(^|(?<=[:;,.] ))([a-z])\)[ \t]+(?=\S)", re.MULTILINE | re.IGNORECASE)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|__?|~~)(?![*\s])(.+?)(?<![*\s])\1(?![\w*])")
_LEFT_OVER = re.compile(
    r"\*\*(?=[^\W\d])|(?<=[^\W\d]|[.!?:;,…)])\*\*(?!\*)|~~|(?<!\w)__|__(?!\w)|`+"
)
_INLINE_BULLET = re.compile(r"(?<=[^\d\s*]) (?:[*·] (?=[A-ZÁÉÍÓÚÑ¿¡])|[•▪] (?=\w))")
_INLINE_NUMBERED = re.compile(r"(?<=[^\s(]) (\d{1,2})\) (?=\w)")
_HYPHENS = {0x2010: "-", 0x2011: "-"}
_ENDS = ".!?:;,…"
_KEPT = frozenset("°€$£¥©®™%‰№§¬±×÷")
_ALONE = {
    "es": {"👍": "de acuerdo", "👌": "de acuerdo", "✅": "hecho", "👋": "hola", "🙏": "gracias"},
    "en": {"👍": "all right", "👌": "all right", "✅": "done", "👋": "hello", "🙏": "thank you"},
}
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")


def flatten(text: str, language: str) -> str:
    """``text`` without marks of layout; rows, items and headings end as sentences do.

    Of a text that is pictograms alone the first one with a meaning in words is said.
    """
    text = _INLINE_BULLET.sub(", ", text.translate(_HYPHENS))
    text = _RULE.sub("", _TABLE_RULE.sub("", _FENCE.sub("", text)))
    text = _QUOTE.sub("", text)
    text = _ROW.sub(lambda row: _sentence(", ".join(_cells(row[1]))), text)
    text = _HEADING.sub(lambda found: _sentence(found[1]), text)
    text = _BULLET.sub(lambda found: _sentence(found[1]), text)
    text = _NUMBERED.sub(lambda found: _sentence(f"{found[1]}: {found[2]}"), text)
    text = _INLINE_NUMBERED.sub(_numbered, text)
    text = _LETTERED.sub(r"\1\2: ", text)
    text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = html.unescape(_TAG.sub(" ", text))
    for _ in range(3):
        text = _EMPHASIS.sub(r"\2", text)
    plain = _without_pictograms(_LEFT_OVER.sub("", text))
    if plain.strip() or not text.strip():
        return plain
    said = _ALONE["en" if language == "en" else "es"]
    return next((said[char] for char in text if char in said), "")


def _numbered(found: re.Match[str]) -> str:
    """``2) …`` within a line, unless that closes a bracket."""
    before = found.string[: found.start()]
    return found[0] if before.count("(") > before.count(")") else f", {found[1]}: "


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|") if cell.strip()]


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in _ENDS else f"{text}."


def _without_pictograms(text: str) -> str:
    kept = [char for char in text if not _is_pictogram(char)]
    return re.sub(r"[ \t]{2,}", " ", "".join(kept)) if len(kept) < len(text) else text


def _is_pictogram(char: str) -> bool:
    if char < "\u00a0" or char in _KEPT:
        return False
    return (
        char in _JOINERS
        or unicodedata.category(char) in ("So", "Cs", "Co", "Cn")
        or (unicodedata.category(char) == "Sk" and ord(char) > 0x1F000)
    )
