"""Tokens of a language model -> phrases that can be spoken, the first one as early as it can be.

Pure. The phrases joined are exactly the tokens joined: nothing is trimmed, added or lost, so a
transcript can be cut at what was heard.
"""

from __future__ import annotations

import re


# The first phrase may end at a comma, so that speech begins while the rest is generated; it must
# still be long enough (in characters) to cover the synthesis of the next one.
FIRST_MIN_CHARS = 12
MIN_CHARS = 24
# Beyond this a sentence is cut at a comma, and beyond the hard limit at a space: no TTS should
# wait for a sentence that never ends.
SOFT_MAX_CHARS = 160
HARD_MAX_CHARS = 280

_ENDINGS = ".!?…"
_PAUSES = ",;:"
_CLOSERS = "\"'»”’)]"
# Written with a point that ends no sentence, lower case, without the point.
_SPANISH = """
sr sra srta sres dr dra prof profa ud uds vd vds av avda c art núm nº pág págs tel tfno ext aprox
etc ej p.ej máx mín admón dto dpto izq dcha d dña ee.uu s.a s.l"""
_ENGLISH = "mr mrs ms st jr vs vol fig approx dept e.g i.e a.m p.m"
_ABBREVIATIONS = frozenset(f"{_SPANISH} {_ENGLISH}".split())
_LAST_WORD = re.compile(r"([\w.º]+)\.$")
_INITIAL = re.compile(r"^[^\W\d_]$")


class PhraseSplitter:
    """``feed`` tokens as they come, ``flush`` at the end."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True
        self._scanned = 0

    def feed(self, token: str) -> list[str]:
        """The phrases that are whole now, usually none or one."""
        self._text += token
        phrases = []
        while (cut := self._find_cut()) is not None:
            phrases.append(self._text[:cut])
            self._text, self._first, self._scanned = self._text[cut:], False, 0
        return phrases

    def likely(self) -> str:
        """The first phrase, if white space came next; '' while it does not look whole.

        Nothing is taken: the next token may show that "penny." goes on as "penny.es".
        """
        text = self._text.rstrip()
        if not self._first or len(text.strip()) < FIRST_MIN_CHARS:
            return ""
        return text if self._ends_phrase(text) else ""

    def flush(self) -> list[str]:
        """The rest, as one phrase; the splitter then starts afresh."""
        rest, self._text, self._first, self._scanned = self._text, "", True, 0
        return [rest] if rest else []

    def _find_cut(self) -> int | None:
        """Where the first phrase ends (after its white space began), or None for not yet.

        A boundary counts only when the character after it is known: "1.5" may follow "1.".
        """
        text = self._text
        least = FIRST_MIN_CHARS if self._first else MIN_CHARS
        for end in range(max(self._scanned, 1), len(text)):
            if not self._is_boundary(end):
                continue
            spoken = len(text[:end].strip())
            if spoken >= least or (spoken and text[end] == "\n"):
                return self._after_space(end)
        self._scanned = len(text)
        return self._forced_cut()

    def _is_boundary(self, end: int) -> bool:
        """Whether a phrase may end before ``end``."""
        text = self._text
        if not text[end].isspace():
            return False
        return text[end] == "\n" or self._ends_phrase(text[:end])

    def _ends_phrase(self, text: str) -> bool:
        """Whether white space after ``text`` would end a phrase."""
        body = text.rstrip(_CLOSERS)
        if not body:
            return False
        last = body[-1]
        if last == "." and not body.endswith(".."):
            return not _is_abbreviation(body)
        if last in _ENDINGS:
            return True
        return last in _PAUSES and (self._first or len(text) > SOFT_MAX_CHARS)

    def _forced_cut(self) -> int | None:
        text = self._text
        if len(text) <= SOFT_MAX_CHARS:
            return None
        window = text[:HARD_MAX_CHARS]
        for i in range(len(window) - 2, MIN_CHARS, -1):
            if window[i] in _PAUSES and window[i + 1].isspace():
                return self._after_space(i + 1)
        if len(text) <= HARD_MAX_CHARS:
            return None
        space = window.rfind(" ", MIN_CHARS)
        return self._after_space(space) if space > 0 else HARD_MAX_CHARS

    def _after_space(self, end: int) -> int:
        """White space that is there already belongs to the phrase before it."""
        while end < len(self._text) and self._text[end].isspace():
            end += 1
        return end


def _is_abbreviation(body: str) -> bool:
    found = _LAST_WORD.search(body)
    if found is None:
        return False
    word = found[1].lower()
    return word in _ABBREVIATIONS or _INITIAL.match(found[1]) is not None
