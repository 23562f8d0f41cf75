"""Words as a recogniser heard them, with times or confidences, in the form records keep. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp
from typing import Any


Json = dict[str, Any]


def place_words(words: Iterable[Json], from_ms: float) -> list[Json]:
    """Words of an utterance that began at ``from_ms``, on the session's line."""
    return [
        {
            "text": str(word["text"]),
            "start_ms": round(from_ms + word["start_ms"]),
            "end_ms": round(from_ms + word["end_ms"]),
            "confidence": word.get("confidence"),
        }
        for word in words
    ]


def join_tokens(tokens: Sequence[Json]) -> list[Json]:
    """A vendor's tokens (``token``, ``logprob``) as words, each as sure as its least sure part.

    Tokens begin a word with a space. Such recognisers tell no times.
    """
    words: list[Json] = []
    for token in tokens:
        text, sure = str(token["token"]), round(exp(token["logprob"]), 4)
        if words and not text.startswith(" "):
            words[-1]["text"] += text
            words[-1]["confidence"] = min(words[-1]["confidence"], sure)
        elif text.strip():
            words.append(
                {"text": text.strip(), "start_ms": None, "end_ms": None, "confidence": sure}
            )
    return words


def mean_confidence(tokens: Sequence[Json]) -> float:
    """The geometric mean of the tokens' probabilities, 0..1."""
    return round(exp(sum(token["logprob"] for token in tokens) / len(tokens)), 4)
