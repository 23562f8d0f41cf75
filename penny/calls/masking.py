"""Digits that must not be kept, written or spoken, taken out of a turn. Pure.

While a card number is given the sound is not kept; what was recognised then is kept without its
numbers, in Spanish and English: "4111", "cuatro uno uno", "cuarenta y uno doce", "double four".
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from penny.calls.record import Turn


MASK = "•"

_ES = (
    "cero uno una un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce"
    " quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintiun veintidos"
    " veintitres veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve treinta"
    " cuarenta cincuenta sesenta setenta ochenta noventa cien ciento doscientos trescientos"
    " cuatrocientos quinientos seiscientos setecientos ochocientos novecientos mil doble triple"
)
_EN = (
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty"
    " ninety hundred thousand double triple"
)
NUMBER_WORDS = frozenset((_ES + " " + _EN).split())
_WORD = re.compile(r"[^\W\d_]+|\d+")


def mask_text(text: str) -> str:
    """``text`` with every digit and every word that stands for a number masked."""
    return _WORD.sub(_mask_word, text)


def mask_json(value: Any) -> Any:
    """``mask_text`` for every text inside; numbers go too."""
    match value:
        case str():
            return mask_text(value)
        case bool() | None:
            return value
        case int() | float():
            return MASK
        case dict():
            return {key: mask_json(inner) for key, inner in value.items()}
        case list():
            return [mask_json(inner) for inner in value]
        case _:
            return value


def mask_digits(turn: Turn) -> Turn:
    """The turn without the numbers of either side, in words, answers and actions."""
    return turn.model_copy(
        update={
            "words": None if turn.words is None else mask_text(turn.words),
            "text": mask_text(turn.text),
            "heard_text": mask_text(turn.heard_text),
            "items": [
                item.model_copy(
                    update={
                        "text": mask_text(item.text),
                        "heard_text": mask_text(item.heard_text),
                    }
                )
                for item in turn.items
            ],
            "marks": [{**mark, "fields": mask_json(mark["fields"])} for mark in turn.marks],
        }
    )


def without_words(turn: Turn) -> Turn:
    """The turn with its times alone: nothing that either side said."""
    items = [item.model_copy(update={"text": "", "heard_text": ""}) for item in turn.items]
    marks = [{**mark, "fields": {}} for mark in turn.marks]
    said = {"words": None, "text": "", "heard_text": "", "items": items, "marks": marks}
    return turn.model_copy(update=said)


def _mask_word(found: re.Match[str]) -> str:
    word = found.group()
    if word.isdigit():
        return MASK * len(word)
    plain = unicodedata.normalize("NFKD", word.lower()).encode("ascii", "ignore").decode()
    return MASK if plain in NUMBER_WORDS else word
