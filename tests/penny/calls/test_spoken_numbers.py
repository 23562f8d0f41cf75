"""A hundred spoken numbers written before the masking code was read: cards, codes and accounts are
gone, telephones, identity numbers, amounts and dates stay.

In ``spoken_numbers.json`` a turn begins with its side (``u:``, ``p:``); what stands in double
brackets is the number.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from penny.calls.masking import MASK, mask_secrets
from penny.calls.record import TimedWord, Turn
from tests.penny.calls.calls import a_turn


pytestmark = pytest.mark.pure

Json = dict[str, Any]

CASES: list[Json] = json.loads((Path(__file__).parent / "spoken_numbers.json").read_text("utf-8"))
GONE = ("card", "code", "iban")
NUMBER = re.compile(r"\[\[(.*?)\]\]")
BESIDE = frozenset(
    word
    for phrase in ("eh, este, a ver", "perdón", "espere que lo lea bien", "no esa es", "y luego")
    for word in phrase.replace(",", "").split()
) | {"guion", "punto"}
"""What is said between the digits and may stay."""


def turns_of(case: Json) -> list[Turn]:
    """A turn for each of the caller's, with what Penny says after it."""
    said: list[tuple[str | None, str]] = []
    for line in case["turns"]:
        side, words = line[0], NUMBER.sub(r"\1", line[3:])
        if side == "u" or not said:
            said.append((words, "") if side == "u" else (None, words))
        else:
            before, text = said[-1]
            said[-1] = (before, f"{text} {words}".strip())
    return [
        a_turn("", text).model_copy(
            update={
                "words": words,
                "timed_words": [TimedWord(text=w) for w in (words or "").split()],
            }
        )
        for words, text in said
    ]


def words_in(turns: list[Turn]) -> Counter[str]:
    """Every word that any field of the turns shows."""
    shown = " ".join(
        f"{turn.words or ''} {turn.text} {' '.join(item.text for item in turn.items)}"
        f" {' '.join(word.text for word in turn.timed_words)}"
        for turn in turns
    )
    return Counter(re.findall(r"[^\W_]+", shown.lower()))


@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] in GONE])
def test_a_secret_number_leaves_no_digit(case: Json) -> None:
    around = {**case, "turns": [NUMBER.sub("", line) for line in case["turns"]]}
    number = {w for line in case["turns"] for n in NUMBER.findall(line) for w in n.lower().split()}
    left = words_in(mask_secrets(turns_of(case))) - words_in(turns_of(around))
    digits = {word.strip(".,;:¿?") for word in number} - BESIDE
    assert not digits & set(left), left


@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] not in GONE])
def test_other_numbers_stay(case: Json) -> None:
    turns = turns_of(case)
    assert mask_secrets(turns) == turns


def test_the_set_is_whole() -> None:
    kinds = Counter(case["kind"] for case in CASES)
    assert kinds == {"card": 41, "code": 8, "iban": 3, "dni": 14, "phone": 10, "stays": 24}
    assert MASK not in json.dumps(CASES, ensure_ascii=False)
