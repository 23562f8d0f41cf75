"""What a sentence states, compared as the knowledge base compares words. Pure.

``quince de enero`` is ``2025-01-15``, ``ochenta y cuatro con treinta y cinco`` is ``84,35 €``,
and a sentence with ``no`` in it is not the same sentence without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from brain.texts import read_words
from kb.normal.analysis import Token, analyse
from kb.normal.months import MONTHS
from penny.localized import language_of


_SENTENCES = re.compile(r"(?<=[.!?;:…])\s+|\n+")
_CLAUSES = re.compile(r"[,;:.…](?=\s|$)|\s(?:pero|sino|but)\s", re.IGNORECASE)
_QUESTION = re.compile(r"\?\s*$")
_TELLING = frozenset({"number", "date", "code"})
_YEAR = re.compile(r"(19|20)\d\d")
_UNITS = frozenset({"eur", "euro", "usd", "dolar"})
_NEGATIONS = {name: read_words(f"negations_{name}") for name in ("es", "en")}
_DIRECTIONS = {name: read_words(f"directions_{name}") for name in ("es", "en")}
"""Small words that turn a statement round though they carry no subject."""
_COURTESY = {name: read_words(f"courtesy_{name}") for name in ("es", "en")}
_DAYS = read_words("days")
_BACKCHANNELS = read_words("backchannels")
_AS_FIGURES = {
    language: [(re.compile(pattern, re.IGNORECASE), plain) for pattern, plain in pairs]
    for language, pairs in {
        "es": [
            (rf"\b(?:uno|primero) de (?={'|'.join(MONTHS['es'])})", "1 de "),
            (r"\b(\d{1,2}):(\d\d)\b", r"\1 con \2"),
            (r"\by media\b", "con 30"),
            (r"\by cuarto\b", "con 15"),
            (r"\bgratuit[oa]s?\b", "gratis"),
            (r"\bkilovatios?\b", "kw"),
        ],
        "en": [(r"n['’]t\b", "nt"), (r"\b(\d{1,2}):(\d\d)\b", r"\1 and \2")],
    }.items()
}
"""Other ways to say the same, and what they are read as."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one text says. ``keys``: all that carries a subject; ``telling``: numbers, dates and
    codes among them; ``negated``: whether it denies; ``denied``: what stands behind the denial;
    ``turns``: small words that turn its meaning."""

    keys: frozenset[str]
    telling: frozenset[str]
    codes: frozenset[str]
    negated: bool
    denied: frozenset[str]
    turns: frozenset[str]

    def differs_from(self, other: Statement) -> bool:
        """Whether one may be true and the other not: each has something that the other lacks, or
        numbers differ, or a denial. Words that only one of them has besides say the same."""
        mine, theirs = _comparable(self.keys, other.keys)
        return (
            bool(mine - theirs and theirs - mine)
            or self.telling != other.telling
            or self.negated != other.negated
            or bool(self.denied and other.denied and not self.denied & other.denied)
            or self.turns != other.turns
        )


class Claims:
    """Reads statements in one language."""

    def __init__(self, language: str) -> None:
        self._language = language_of(language)

    def read(self, text: str) -> Statement:
        tokens = self._tokens(text)
        words = {word for token in tokens for word in token.surface.split()}
        denials = _NEGATIONS[self._language]
        kept = [t for t in tokens if t.keys and not t.stop and t.surface not in denials]
        return Statement(
            frozenset(token.keys[0] for token in kept),
            _without_years([t for t in kept if t.kind in _TELLING]),
            frozenset(t.keys[0] for t in kept if t.kind == "code"),
            bool(words & denials),
            self._denied(text),
            frozenset(words & _DIRECTIONS[self._language]),
        )

    def _denied(self, text: str) -> frozenset[str]:
        """What stands behind a denial in its own clause: "no se traspasa: firma uno nuevo"."""
        denials, keys = _NEGATIONS[self._language], set()
        for clause in _CLAUSES.split(text):
            tokens = self._tokens(clause)
            first = next((n for n, t in enumerate(tokens) if t.surface in denials), len(tokens))
            keys |= {t.keys[0] for t in tokens[first:] if t.keys and not t.stop}
        return frozenset(keys - denials)

    def in_place(self, words: str, heard: str) -> str:
        """A quotation with the small words that stood before it and turn its meaning."""
        before, found, _ = heard.lower().partition(words.lower())
        turns = _DIRECTIONS[self._language]
        said = [*takewhile(turns.__contains__, (t.surface for t in self._tokens(before)[::-1]))]
        return " ".join([*said[::-1], words]) if found else words

    def sentences(self, text: str) -> list[str]:
        """The sentences of a text; a semicolon or colon ends one too."""
        return [each for each in _SENTENCES.split(text) if each.strip()]

    def has_claim(self, text: str, asked: str = "") -> bool:
        """Whether a reply to what was ``asked`` states anything that could be checked.

        Questions, greetings and "I'm looking it up" are not; a number, a date or a day always is,
        a bare yes or no to a question too, and any sentence about a subject ("puede pagar en
        efectivo en la oficina").
        """
        first = text.strip(" ¡.").split(" ", 1)[0].strip(".,!").lower()
        if "?" in asked and first in ("sí", "si", "no", "yes"):
            return True
        return any(self._is_checkable(sentence) for sentence in self.sentences(text))

    def says(self, text: str, wanted: Statement, known: Statement) -> bool:
        """Whether a text states ``wanted``, of which ``known`` was said before.

        What both share need not be repeated: a date is put right by saying the date.
        """
        there = self.read(text)
        news = wanted.telling - known.telling
        if news:
            return news <= there.telling | there.keys
        right = wanted.keys - known.keys or wanted.keys
        best = self._nearest(text, right)
        if best is None or len(right & best.keys) < max(1, 0.5 * len(right)):
            return False
        denies = bool(wanted.denied) and wanted.denied <= there.denied
        return denies or best.negated == wanted.negated

    def was_heard(self, said: Statement, correct: Statement, heard: str) -> bool:
        """Whether the words at fault were among those that were heard."""
        wrong = said.keys - correct.keys - _UNITS
        best = self._nearest(heard, wrong or said.keys)
        if best is None:
            return False
        if wrong:
            telling = wrong & said.telling
            there = self.read(heard).keys
            return telling <= there and len(wrong & there) >= (len(wrong) + 1) // 2
        turned = said.turns <= best.turns if said.turns != correct.turns else True
        enough = len(said.keys & best.keys) >= 0.6 * len(said.keys)
        return bool(said.keys) and enough and turned and best.negated == said.negated

    def _nearest(self, text: str, keys: frozenset[str]) -> Statement | None:
        read = [self.read(sentence) for sentence in self.sentences(text)]
        read = [each for each in read if each.keys & keys]
        return max(read, key=lambda each: len(each.keys & keys), default=None)

    def _is_checkable(self, sentence: str) -> bool:
        if _QUESTION.search(sentence) or sentence.lstrip().startswith("¿"):
            return False
        tokens = self._tokens(sentence)
        if any(t.kind in _TELLING or t.surface in _DAYS for t in tokens):
            return True
        courtesy = _COURTESY[self._language]
        content = [t for t in tokens if not t.stop and t.surface not in courtesy]
        return bool(content) and len(tokens) > 2

    def _tokens(self, text: str) -> list[Token]:
        for pattern, plain in _AS_FIGURES[self._language]:
            text = pattern.sub(plain, text)
        return list(_join_figures(analyse(text, self._language), self._language))


def _comparable(
    mine: frozenset[str], theirs: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Without units, and without a year that only one of them names."""
    years = {key for key in mine ^ theirs if _YEAR.fullmatch(key)}
    if any(_YEAR.fullmatch(key) for key in mine) and any(_YEAR.fullmatch(key) for key in theirs):
        years = set()
    return mine - _UNITS - years, theirs - _UNITS - years


def _without_years(tokens: list[Token]) -> frozenset[str]:
    """The keys of the tokens, years left out where a day stands among them.

    A day is put right by day and month: its year is rarely spoken.
    """
    keys = {token.keys[0] for token in tokens}
    if any(token.kind == "date" for token in tokens):
        return frozenset(key for key in keys if not _YEAR.fullmatch(key))
    return frozenset(keys)


def _join_figures(tokens: list[Token], language: str) -> Iterator[Token]:
    """Figures as they are spoken, each as one number.

    ``84 | con | 35`` is 84.35, as an amount is said without its unit; ``900 | 123 | 456`` and
    ``4 | 8``, digit by digit, are one number; ``2 | de | la | tarde`` is 14.
    """
    joint = "and" if language == "en" else "con"
    at = 0
    while at < len(tokens):
        value, after = _digits_at(tokens, at)
        if not value:
            yield tokens[at]
            at += 1
            continue
        cents, end = "", after
        if after < len(tokens) and tokens[after].surface == joint:
            cents, end = _digits_at(tokens, after + 1)
        if cents and int(cents) < 100:
            after = end
            fraction = f"{int(cents):02d}".rstrip("0")
            whole, value = value, f"{value}.{fraction}" if fraction else value
        else:
            whole = value
        hour = [token.surface for token in tokens[after : after + 3]]
        if hour[:2] == ["de", "la"] and hour[2:] in (["tarde"], ["noche"]) and int(whole) < 12:
            value, after = str(int(whole) + 12) + value[len(whole) :], after + 3
        surface = " ".join(token.surface for token in tokens[at:after])
        yield Token((value,), "number", surface)
        at = after


def _digits_at(tokens: list[Token], at: int) -> tuple[str, int]:
    """The whole number that begins here, "" for none, and where it ends."""
    run: list[str] = []
    for token in tokens[at:]:
        if token.kind != "number" or not token.keys[0].isdecimal():
            break
        run.append(token.keys[0])
    digit_by_digit = len(run) > 1 and all(len(each) == 1 for each in run)
    if not digit_by_digit and len(run) < 3:
        run = run[:1]  # neighbours such as a day and its year
    return "".join(run), at + len(run)


def is_backchannel(text: str) -> bool:
    """Whether the caller only shows that they listen: no news for the brain, no new turn of it."""
    words = [word.strip(".,;:¿?¡!…").lower() for word in text.split()]
    words = [word for word in words if word]
    return bool(words) and len(words) <= 3 and all(word in _BACKCHANNELS for word in words)
