"""What a caller wants, one of ten, as it is judged live and afterwards alike. Pure.

N-grams, and vectors where there are any, under one softmax that was fitted to at most thirty
examples of each (``data/intents.tsv``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np

from config.analysis import IntentName
from penny.analysis.classifier import Array, Grams, Softmax, fit, read_fitted
from penny.analysis.heads import Head


INTENTS: tuple[str, ...] = get_args(IntentName)
OTHER = "other"
VERSION = 2
LEAST = 0.35
"""Below it what a caller wants is not said to be known."""
DATA = Path(__file__).parent / "data" / "intents.tsv"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted and how sure that is (0..1); the best guess even where it is unsure."""

    name: str
    confidence: float

    @property
    def told(self) -> str:
        """The name, or ``OTHER`` where it is too unsure."""
        return self.name if self.confidence >= LEAST else OTHER


def classify(
    texts: Sequence[str], vectors: Array | None = None, head: Head | None = None
) -> list[Intent]:
    """What each text wants.

    Args:
        vectors: a row for each text; ``head`` has the weights over them.
    """
    if not texts:
        return []
    grams, softmax = _model()
    told = softmax.probabilities(grams.vectors(texts))
    if vectors is not None and head is not None:
        told = told * (1 - head.share) + head.share * head.probabilities(vectors)
    return [Intent(INTENTS[int(row.argmax())], round(float(row.max()), 3)) for row in told]


def examples() -> list[tuple[int, str]]:
    """(class, text) of what it is fitted to."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [(INTENTS.index(name), text) for name, text in pairs]


def fit_examples() -> tuple[Grams, Softmax]:
    """The n-grams and weights over them, fitted anew: seconds of a core."""
    told = examples()
    texts = [text for _, text in told]
    grams = Grams.of(texts)
    return grams, fit(grams.vectors(texts), np.array([at for at, _ in told]), len(INTENTS))


@cache
def _model() -> tuple[Grams, Softmax]:
    return read_fitted("intent")
