"""The mood of what a caller said, on five levels from its words: Spanish and English. Pure.

Words with their negations and intensifiers, n-grams, and vectors where there are any, under one
softmax that was fitted to ``data/sentiment.tsv``. Irony (praise for what is a complaint) is
neutral: no engine reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from penny.analysis import mood_words
from penny.analysis.classifier import Array, Grams, Softmax, fit, read_fitted
from penny.analysis.heads import Head
from penny.analysis.words import plain


Level = Literal["very_negative", "negative", "neutral", "positive", "very_positive"]
LEVELS: tuple[Level, ...] = ("very_negative", "negative", "neutral", "positive", "very_positive")
VERSION = 2
BACK = 3
"""Words before one that may turn it round."""
CUES_WEIGHT = 0.45
"""Of the cues beside n-grams, whose rows have length 1."""
DATA = Path(__file__).parent / "data" / "sentiment.tsv"
_WORD = re.compile(r"[a-z0-9ñ']+")


@dataclass(frozen=True, slots=True)
class Mood:
    """A mood: ``score`` -1..1, the mean of the levels by their probabilities."""

    level: Level
    score: float
    confidence: float


def level_of(score: float) -> Level:
    """The level that a mean score stands for."""
    edges = (-0.6, -0.2, 0.2, 0.6)
    return LEVELS[sum(score > edge for edge in edges)]


def is_ironic(text: str) -> bool:
    """Whether something is praised that is a complaint: "gracias por cobrarme dos veces"."""
    folded = plain(text)
    praise, by, fact = folded.partition(" por ")
    thanks = any(word in praise for word in ("gracias", "genial", "enhorabuena", "thank"))
    return bool(by) and thanks and any(each in fact for each in mood_words.COMPLAINT_FACTS)


def judge(
    texts: Sequence[str], vectors: Array | None = None, head: Head | None = None
) -> list[Mood]:
    """The mood of each text.

    Args:
        vectors: a row for each text; ``head`` has the weights over them.
    """
    if not texts:
        return []
    model = _model()
    told = model.softmax.probabilities(_features(model.grams, texts))
    if vectors is not None and head is not None:
        told = told * (1 - head.share) + head.share * head.probabilities(vectors, cues(texts))
    return [_mood(text, row) for text, row in zip(texts, told, strict=True)]


def _mood(text: str, row: Array) -> Mood:
    if is_ironic(text):
        return Mood("neutral", 0.0, 0.0)
    score = float(row @ np.linspace(-1, 1, 5, dtype=np.float32))
    best = int(row.argmax())
    return Mood(LEVELS[best], round(score, 3), round(float(row[best]), 3))


# -- cues -------------------------------------------------------------------------------------


def cues(texts: Sequence[str]) -> Array:
    """A row of counts for each text: the four weights of mood, negated ones, size, shape."""
    return np.array([_cues(text) for text in texts], dtype=np.float32)


def _cues(text: str) -> list[float]:
    folded = plain(text)
    words = _WORD.findall(folded)
    counts = [0.0] * 4  # strong negative, negative, positive, strong positive
    turned = 0.0
    for at, kind in _hits(words):
        before = words[max(0, at - BACK) : at]
        strength = 1.5 if any(word in mood_words.INTENSIFIERS for word in before) else 1.0
        if kind > 1 and any(word in mood_words.NEGATIONS for word in before):
            turned += 1
            counts[1] += 0.7
        else:
            counts[kind] += strength
    for kind, phrases in enumerate(_PHRASES):
        counts[kind] += sum(phrase in folded for phrase in phrases)
    net = 2 * counts[3] + counts[2] - counts[1] - 2 * counts[0]
    none = float(not any(counts))
    return [
        *(min(c, 3.0) for c in counts),
        turned,
        net / 3,
        none,
        float("?" in text),
        len(words) / 20,
    ]


_PHRASES = tuple(
    tuple(plain(each) for each in phrases)
    for phrases in (
        mood_words.STRONG_NEGATIVE_PHRASES,
        mood_words.NEGATIVE_PHRASES,
        mood_words.POSITIVE_PHRASES,
        mood_words.STRONG_POSITIVE_PHRASES,
    )
)


@cache
def _lexicon() -> tuple[dict[str, int], tuple[tuple[str, int], ...]]:
    """Whole words with their kind, and stems with theirs."""
    whole: dict[str, int] = {}
    stems: list[tuple[str, int]] = []
    for kind, words in enumerate(
        (
            mood_words.STRONG_NEGATIVE,
            mood_words.NEGATIVE,
            mood_words.POSITIVE,
            mood_words.STRONG_POSITIVE,
        )
    ):
        for word in words.split():
            if word.endswith("*"):
                stems.append((plain(word[:-1]), kind))
            else:
                whole[plain(word)] = kind
    return whole, tuple(stems)


def _hits(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    whole, stems = _lexicon()
    for at, word in enumerate(words):
        kind = whole.get(word)
        if kind is None:
            kind = next((k for stem, k in stems if word.startswith(stem)), None)
        if kind is not None:
            yield at, kind


# -- fitting ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Model:
    """What was fitted: n-grams, and weights over them and the cues."""

    grams: Grams
    softmax: Softmax


def examples() -> list[tuple[int, int, str]]:
    """(caller, class, text) of the sentences that it is fitted to."""
    caller, told = 0, []
    for line in DATA.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            caller += 1
        elif line:
            level, text = line.split("\t")
            told.append((caller, int(level) + 2, text))
    return told


def _features(grams: Grams, texts: Sequence[str]) -> Array:
    return np.hstack([grams.vectors(texts), CUES_WEIGHT * cues(texts)])


def fit_to(told: Sequence[tuple[int, int, str]]) -> _Model:
    """A model of these examples."""
    texts = [text for _, _, text in told]
    grams = Grams.of(texts)
    classes = np.array([level for _, level, _ in told])
    return _Model(grams, fit(_features(grams, texts), classes, len(LEVELS)))


@cache
def _model() -> _Model:
    return _Model(*read_fitted("sentiment"))
