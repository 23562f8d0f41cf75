"""Codes and e-mail addresses as they are spoken: letter names, "guion", "arroba", "punto". Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kb.normal.numbers import ENGLISH_NUMBERS, SPANISH_NUMBERS, Language, NumberReader


_SPANISH_LETTERS = {
    **{letter: letter for letter in "abcdefghijklmnopqrstuvwxyz"},
    "be": "b", "ce": "c", "de": "d", "efe": "f", "ge": "g", "hache": "h", "jota": "j", "ka": "k",
    "ele": "l", "eme": "m", "ene": "n", "pe": "p", "cu": "q", "erre": "r", "ere": "r", "ese": "s",
    "te": "t", "uve": "v", "ve": "v", "equis": "x", "zeta": "z", "ceta": "z", "ache": "h",
}  # fmt: skip
_ENGLISH_LETTERS = {
    **{letter: letter for letter in "abcdefghijklmnopqrstuvwxyz"},
    "bee": "b", "cee": "c", "dee": "d", "ef": "f", "eff": "f", "gee": "g", "jay": "j", "kay": "k",
    "el": "l", "em": "m", "en": "n", "pee": "p", "cue": "q", "ar": "r", "ess": "s", "tee": "t",
    "vee": "v", "ex": "x", "zed": "z", "zee": "z",
}  # fmt: skip
# Also everyday words: alone they begin a code only when a hyphen is spoken after the number.
_WEAK = frozenset(["a", "de", "e", "te", "o", "u", "y", "i", "en", "el", "ese", "ve", "ex", "em"])
_SEPARATORS = frozenset(
    ["guion", "guiom", "gion", "giom", "barra", "raya", "menos", "dash", "hyphen", "slash"]
)
_AT = frozenset(["arroba", "@"])
_DOTS = frozenset(["punto", "dot"])
_JOINERS = {"guion": "-", "dash": "-", "hyphen": "-"}

_MOST_INITIAL = 99
_LEAST_LETTERS, _MOST_LETTERS = 2, 6


@dataclass(frozen=True, slots=True)
class Code:
    """A code in one form: ``F-2024-1234`` is letters ``f`` and parts ``2024``, ``1234``."""

    letters: str
    parts: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.letters + "".join(self.parts)


def read_code(words: list[str], at: int, language: Language) -> tuple[Code, int] | None:
    """Return the spelled code that begins at ``at`` and how many words it takes, or None."""
    names = _SPANISH_LETTERS if language == "es" else _ENGLISH_LETTERS
    numbers = SPANISH_NUMBERS if language == "es" else ENGLISH_NUMBERS
    letters, index, strong, hyphens = "", at, False, 0
    while index < len(words) and len(letters) < 4 and words[index] in names:
        strong = strong or words[index] not in _WEAK
        letters += names[words[index]]
        index += 1
    parts: list[str] = []
    after_letters = index
    while index < len(words):
        step = index
        if words[step] in _SEPARATORS and (parts or letters):
            step += 1
        digits, used = _read_digits(words, step, numbers)
        if not used:
            break
        hyphens += step - index
        parts.append(digits)
        index = step + used
    is_code = bool(letters and parts and (strong or hyphens)) or (
        not letters and len(parts) > 1 and hyphens > 0
    )
    if not is_code or (letters and not strong and words[after_letters] in _SEPARATORS):
        return None
    return Code(letters, tuple(parts)), index - at


def read_initials(words: list[str], at: int, language: Language) -> tuple[str, int] | None:
    """Return the initials spelled from ``at`` (``ce ene u``: cnu, ``tres eme``: 3m) and how many
    words they take, or None. They may be words as well: whether they are meant is told by what
    the documents have."""
    names = _SPANISH_LETTERS if language == "es" else _ENGLISH_LETTERS
    numbers = SPANISH_NUMBERS if language == "es" else ENGLISH_NUMBERS
    number, index = numbers.read(words, at)
    first = str(number) if index and number <= _MOST_INITIAL else ""
    index = at + index if first else at
    letters, strong = "", 0
    while index < len(words) and len(letters) < _MOST_LETTERS and words[index] in names:
        strong += words[index] not in _WEAK and len(words[index]) > 1
        letters += names[words[index]]
        index += 1
    enough = strong >= 1 if first else strong >= 1 and len(letters) >= _LEAST_LETTERS
    return (first + letters, index - at) if letters and enough else None


def _read_digits(words: list[str], at: int, numbers: NumberReader) -> tuple[str, int]:
    if at >= len(words):
        return "", 0
    word = words[at]
    if word.isdecimal() and len(word) > 3:
        return word, 1
    if word in ("un", "una"):
        return "", 0
    digits, used = numbers.read_digits(words, at)
    if used:
        return digits, used
    value, used = numbers.read(words, at)
    if not used:
        return "", 0
    return (word, 1) if used == 1 and word.isdecimal() else (str(value), used)


def read_email(words: list[str], at: int) -> tuple[str, int, int] | None:
    """Return (address, first word, end) when ``words[at]`` is the at-sign of a spoken address."""
    if words[at] not in _AT or at == 0:
        return None
    first = at - 1
    local = words[first]
    while first >= 2 and words[first - 1] in _DOTS | _JOINERS.keys():
        mark = _JOINERS.get(words[first - 1], ".")
        local = words[first - 2] + mark + local
        first -= 2
    host: list[str] = []
    index = at + 1
    while index < len(words) and words[index] not in _DOTS and len(host) < 5:
        host.append(words[index])
        index += 1
    domain = "".join(host)
    if index >= len(words) or words[index] not in _DOTS or not domain:
        return None
    while index + 1 < len(words) and words[index] in _DOTS:
        domain += "." + words[index + 1]
        index += 2
    return f"{local}@{domain}", first, index
