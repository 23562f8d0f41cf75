"""What a language model tells of a call, held against its turns: what they do not hold is dropped.

Pure. A topic and an outcome stand by words that a cited turn has, a sentence of the summary by
turns that exist and have every number in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from penny.analysis.dialogue import Said
from penny.analysis.words import plain
from penny.calls.numbers import read_numbers


Json = dict[str, Any]

VERSION = 1
LEAST_QUOTE = 3
"""Letters and digits; a shorter quote is found anywhere."""
MOST_TOPICS, MOST_TOPIC_CHARS = 4, 48
_DIGITS = re.compile(r"\d+")


def hold_against(told: Json, said: Sequence[Said]) -> Json:
    """``summary``, ``topics`` and ``outcome`` as far as the turns hold them, and how many of what
    was told they do not (``dropped``).

    Args:
        told: as ``brain.understanding.SCHEMA`` has it.
    """
    words: dict[int, str] = {}
    for each in said:
        words[each.turn] = f"{words.get(each.turn, '')} {each.text}"
    sentences = [each for each in told["summary"] if _has_numbers(each, words)]
    quoted = [each for each in told["topics"] if _is_quoted(each, words)]
    topics = list(
        dict.fromkeys(each["topic"].strip().lower()[:MOST_TOPIC_CHARS] for each in quoted)
    )
    outcome = told["outcome"] if _is_quoted(told["outcome"], words) else None
    kept = len(sentences) + len(quoted) + (outcome is not None)
    return {
        "summary": " ".join(each["text"].strip() for each in sentences),
        "summary_turns": _turns(sentences),
        "topics": [topic for topic in topics if topic][:MOST_TOPICS],
        "topics_turns": _turns(quoted),
        "outcome": outcome,
        "dropped": len(told["summary"]) + len(told["topics"]) + 1 - kept,
    }


def _turns(items: Iterable[Json]) -> list[int]:
    return sorted({turn for each in items for turn in each["turns"]})


def _exist(turns: Collection[int], words: dict[int, str]) -> bool:
    return bool(turns) and all(turn in words for turn in turns)


def _is_quoted(item: Json, words: dict[int, str]) -> bool:
    quote = _folded(item["quote"])
    if not _exist(item["turns"], words) or len(quote) < LEAST_QUOTE:
        return False
    return any(quote in _folded(words[turn]) for turn in item["turns"])


def _has_numbers(item: Json, words: dict[int, str]) -> bool:
    if not _exist(item["turns"], words) or not item["text"].strip():
        return False
    known = set().union(*(_numbers(words[turn]) for turn in item["turns"]))
    return _numbers(item["text"]) <= known


def _numbers(text: str) -> set[str]:
    """Every number of a text, written or spoken."""
    spoken = {number.digits for number in read_numbers(text)}
    return {digits.lstrip("0") or "0" for digits in {*_DIGITS.findall(text), *spoken}}


def _folded(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", plain(text)))
