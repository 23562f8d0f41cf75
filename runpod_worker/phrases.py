"""Tokens of a language model -> phrases that can be spoken, the first one as early as it can be.

Pure. The phrases joined are exactly the tokens joined: nothing is trimmed, added or lost, so a
transcript can be cut at what was heard.
"""

from __future__ import annotations

import re

from runpod_worker.spoken.tables import load_tables


# The first phrase may end at a comma, so that speech begins while the rest is generated; it must
# still be long enough (in characters) to cover the synthesis of the next one.
FIRST_MIN_CHARS = 12
MIN_CHARS = 24
# Beyond this a sentence is cut at a comma, and beyond the hard limit at a space: no TTS should
# wait for a sentence that never ends.
SOFT_MAX_CHARS = 160
HARD_MAX_CHARS = 280
# A slow voice begins with a short phrase; while it sounds, a somewhat longer one is made.
GROWTH = 1.5
# "F-2024-1234" is eleven characters and three seconds of speech: a digit counts for so many more.
DIGIT_CHARS = 5

_ENDINGS = ".!?…"
_PAUSES = ",;:"
_CLOSERS = "\"'»”’)]"
_LONGEST_WORD = 40
_OPENERS = "\"'«“‘([{¿¡"
_TABLES = (load_tables("es"), load_tables("en"))
# Written with a point that ends no sentence, as the spoken form knows them.
_ABBREVIATIONS = frozenset(form for tables in _TABLES for form in tables.pointed())
_BEFORE_NUMBER = frozenset(form for tables in _TABLES for form in tables.pointed_before_number())
_SPANISH_JOINS = "a al como con cuando de del donde e en o para pero por porque que si sin u y"
_ENGLISH_JOINS = "and at but by for if in of on or that to when where which with"
_JOINING_WORDS = frozenset(f"{_SPANISH_JOINS} {_ENGLISH_JOINS}".split())
"""A slow voice is best cut before one of these."""
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+\Z")
_ITEM_NUMBER = re.compile(r"(?:\A|[\n:;.!?])\s*\d{1,2}\.\Z")
_OPEN_LINK = re.compile(r"(?:\[[^\]\n]*|\]\([^)\s]*)\Z")


class PhraseSplitter:
    """Cuts generated text into phrases for speech synthesis.

    ``feed`` tokens as they come, ``flush`` at the end.

    Args:
        first_max_chars: about how long the first phrase may be, numbers as they are spoken, for a
            voice that takes long for one; each next one may be longer by ``GROWTH``. 0 is for a
            quick voice.
    """

    def __init__(self, first_max_chars: int = 0) -> None:
        self._longest = float(first_max_chars or SOFT_MAX_CHARS)
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
            self._longest *= GROWTH
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
            if (
                _spoken_chars(text[:end]) > self._longest * 1.25
                and (cut := self._cut_for_slow_voice()) is not None
            ):
                return cut
            is_boundary = self._is_boundary(end)
            if is_boundary is None:
                self._scanned = end
                return self._forced_cut()
            if not is_boundary:
                continue
            spoken = len(text[:end].strip())
            if spoken >= least or (spoken and text[end] == "\n"):
                return self._after_space(end)
        self._scanned = len(text)
        return self._forced_cut()

    def _is_boundary(self, end: int) -> bool | None:
        """Whether a phrase may end before ``end``; None until it is known whether a number follows.

        A number is read by what is before it: "código: 4829", "no. 5".
        """
        before, after = self._text[:end], self._text[end:]
        if after[0] == "\n":
            return True
        if not after[0].isspace() or not self._ends_phrase(before):
            return False
        if before[-1] not in _PAUSES and _last_word(before) not in _BEFORE_NUMBER:
            return True
        following = after.lstrip()[:1]
        return not following.isdigit() if following else None

    def _ends_phrase(self, text: str) -> bool:
        """Whether white space after ``text`` would end a phrase."""
        body = text.rstrip(_CLOSERS)
        line = body[body.rfind("\n") + 1 :]
        if not body or line.lstrip().startswith("|") or _OPEN_LINK.search(line):
            return False  # a row of a table, the text or the address of a link
        last = body[-1]
        if last == "." and not body.endswith(".."):
            return not _is_abbreviation(body) and not _ITEM_NUMBER.search(body)
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
        spaces = [i for i in range(MIN_CHARS, len(window) - 1) if window[i] == " "]
        whole = [i for i in spaces if not (window[i - 1].isdigit() and window[i + 1].isdigit())]
        return self._after_space((whole or spaces)[-1]) if spaces else HARD_MAX_CHARS

    def _cut_for_slow_voice(self) -> int | None:
        """Within the longest length: before a word that opens something, else at any space."""
        if self._longest >= SOFT_MAX_CHARS:
            return None
        text = self._text
        spaces = [i for i in range(FIRST_MIN_CHARS, len(text) - 1) if self._may_cut_at(i)]
        within = [i for i in spaces if _spoken_chars(text[:i]) < self._longest]
        if not within:  # a long number: the first chance after it
            return self._after_space(spaces[0]) if spaces else None
        openers = [
            i for i in within if i > within[-1] // 2 and _next_word(text, i) in _JOINING_WORDS
        ]
        return self._after_space((openers or within)[-1])

    def _may_cut_at(self, i: int) -> bool:
        """Whether it is white space that does not part a number from what it counts."""
        text = self._text
        if not text[i].isspace() or text[i + 1].isdigit():
            return False
        return not text[i - 1].isdigit() or _next_word(text, i) in _JOINING_WORDS

    def _after_space(self, end: int) -> int:
        """White space that is there already belongs to the phrase before it."""
        while end < len(self._text) and self._text[end].isspace():
            end += 1
        return end


def _spoken_chars(text: str) -> int:
    return len(text) + DIGIT_CHARS * sum(map(str.isdigit, text))


def _next_word(text: str, at: int) -> str:
    return "".join(text[at:].split(maxsplit=1)[:1]).lower()


def _is_abbreviation(body: str) -> bool:
    word = _last_word(body)
    return word in _ABBREVIATIONS or _INITIALS.match(word) is not None


def _last_word(text: str) -> str:
    """In lower case, with its point, without what opens before it."""
    return text[-_LONGEST_WORD:].rpartition(" ")[2].rpartition("\n")[2].lstrip(_OPENERS).lower()
