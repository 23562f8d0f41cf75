"""Which doubtful word of a transcript matters: one that stands in an amount, a date, an identifier,
a cancellation or a name. Pure.

A word of low confidence anywhere else is left alone, however low.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from rapidfuzz.distance import Levenshtein

from penny.localized import language_of


Slot = Literal["amount", "date", "identifier", "cancellation", "name"]

CODE_WORDS: Final = 4
"""So many figures in a row are no amount but an identifier."""
CODE_SIZE: Final = 3
"""Letters or digits that an identifier has at least ("marque el 5" is none)."""
NAME_WORDS: Final = 4
"""A first name and two surnames, one of them double."""
NOUN_LETTERS: Final = 5
NEAR: Final = 1
"""Letters between a doubtful word and a noun of a slot that it may have been (salgo, saldo)."""
SAME_SOUND: Final = (("qu", "k"), ("c", "k"), ("v", "b"), ("z", "s"), ("h", ""), ("ll", "y"))


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A recognised word as written, and how sure the recogniser is of it (0..1; None: not told)."""

    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """A doubtful word in a slot that matters.

    ``at``: its index; ``first``, ``last``: of the run of words that make the slot's value
    (inclusive); ``other``: what it may have been, or ''.
    """

    slot: Slot
    at: int
    first: int
    last: int
    other: str = ""


@cache
def vocabulary(language: str) -> dict[str, Any]:
    """The lists of ``asking.yaml`` for a BCP-47 language, as sets of words."""
    path = Path(__file__).with_name("asking.yaml")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))[language_of(language)]
    return {
        name: frozenset(value.split()) if isinstance(value, str) else value
        for name, value in table.items()
    }


def plain(word: str) -> str:
    """Lower case, without accents (ñ stays) and marks around it."""
    kept = word.lower().replace("ñ", "\0")
    folded = unicodedata.normalize("NFKD", kept)
    bare = "".join(each for each in folded if not unicodedata.combining(each))
    return bare.replace("\0", "ñ").strip(".,;:!?¿¡\"'()«»…")


def find_doubt(words: Sequence[HeardWord], below: float, language: str) -> Doubt | None:
    """The least sure word under ``below`` that stands in a slot that matters, or None."""
    said = [plain(word.text) for word in words]
    unsure = [
        (word.confidence, at)
        for at, word in enumerate(words)
        if word.confidence is not None and word.confidence < below
    ]
    for _, at in sorted(unsure):
        doubt = _place(words, said, at, language)
        if doubt is not None:
            return doubt
    return None


def _place(words: Sequence[HeardWord], said: list[str], at: int, language: str) -> Doubt | None:
    known = vocabulary(language)
    word = said[at]
    if _is_figure(word, known) or (word in known["letters"] and _is_spelled(said, at, known)):
        return _place_figure(said, at, known)
    for slot, kind in (("date", "days"), ("date", "months"), ("cancellation", "leaving")):
        if word in known[kind]:
            other = known["mistaken"].get(word) or _nearest(word, known[kind])
            return Doubt(slot, at, at, at, other)  # type: ignore[arg-type]  # two of Slot
    for noun, slot in known["nouns"].items():
        is_long = noun != word and min(len(word), len(noun)) >= NOUN_LETTERS
        if is_long and Levenshtein.distance(word, noun) <= NEAR:
            return Doubt(slot, at, at, at, noun)
    return _place_name(words, said, at, known)


def _is_figure(word: str, known: dict[str, Any]) -> bool:
    return word in known["numbers"] or any(each.isdigit() for each in word)


def _is_spelled(said: list[str], at: int, known: dict[str, Any]) -> bool:
    """Whether a letter's name stands in an identifier and is no little word (de, a, e, o)."""
    if any(word in known["codes"] for word in said[:at]):
        beside = said[at - 1 : at] + said[at + 1 : at + 2]
        return any(_is_figure(word, known) or word in known["spelled"] for word in beside)
    figures = 0
    while at > figures and (
        _is_figure(said[at - 1 - figures], known) or said[at - 1 - figures] in known["joins"]
    ):
        figures += 1
    return figures >= CODE_WORDS


def _place_figure(said: list[str], at: int, known: dict[str, Any]) -> Doubt | None:
    first, last = _run(said, at, known)
    before, after = said[:first], said[last + 1 : last + 3]
    word = said[at]
    kind = "numbers" if word in known["numbers"] else "letters"
    near = _nearest(word, known[kind]) if word in known[kind] else ""
    other = known["mistaken"].get(word) or near
    parts = [each for each in said[first : last + 1] if each not in known["joins"]]
    slot: Slot
    if after and after[0] in known["money"]:
        slot = "amount"
    elif any(each in known["months"] for each in (*after, *before[-2:], *before[-4:-1])) or any(
        each in known["hours"] for each in after[:1]
    ):
        slot = "date"
    elif len(parts) >= CODE_WORDS or (
        any(each in known["codes"] for each in before) and len("".join(parts)) >= CODE_SIZE
    ):
        slot = "identifier"
    elif len(parts) >= 2 or any(len(each) > 1 and each.isdigit() for each in parts):
        slot = "amount"
    else:
        return None
    return Doubt(slot, at, first, last, other)


def _run(said: list[str], at: int, known: dict[str, Any]) -> tuple[int, int]:
    """The figures and letters around a place, with the little words that join figures."""

    def belongs(place: int) -> bool:
        word = said[place]
        return _is_figure(word, known) or word in known["spelled"]

    first = last = at
    while first > 0 and (
        belongs(first - 1)
        or (said[first - 1] in known["joins"] and first > 1 and belongs(first - 2))
    ):
        first -= 1
    while last < len(said) - 1 and (
        belongs(last + 1)
        or (said[last + 1] in known["joins"] and last + 2 < len(said) and belongs(last + 2))
    ):
        last += 1
    while (
        first < at and said[first] in known["spelled"] and said[first + 1] not in known["spelled"]
    ):
        first += 1  # "el pago de ciento doce": a preposition, no letter
    while last > at and said[last] in known["spelled"] and not _is_spelled(said, last, known):
        last -= 1  # "el dos de junio"
    return first, last


def _place_name(
    words: Sequence[HeardWord], said: list[str], at: int, known: dict[str, Any]
) -> Doubt | None:
    """A capitalised word shortly after "me llamo", "a nombre de" and their like."""
    if not words[at].text[:1].isupper():
        return None
    for trigger in known["names"]:
        size = len(trigger.split())
        for start in range(max(0, at - size - NAME_WORDS + 1), at - size + 1):
            between = words[start + size : at]
            if " ".join(said[start : start + size]) == trigger and all(
                each.text[:1].isupper() for each in between
            ):
                return Doubt("name", at, at, at)
    return None


def _sound(word: str) -> str:
    for spelling, sound in SAME_SOUND:
        word = word.replace(spelling, sound)
    return word


def _nearest(word: str, others: Sequence[str] | frozenset[str]) -> str:
    """The word of the same list that sounds most like it; '' where none is near."""
    sound = _sound(word)
    near = min(
        (each for each in others if each != word),
        key=lambda each: (Levenshtein.normalized_distance(sound, _sound(each)), each),
        default="",
    )
    return near if Levenshtein.normalized_distance(sound, _sound(near)) <= 0.6 else ""
