"""Short sentences into classes: n-grams, and vectors where there are any, under one softmax. Pure.

What it is fitted to are a few hundred sentences: so it is fitted where it is first used, in a
fraction of a second, and always alike. Weights over vectors are fitted beforehand
(``penny.analysis.train``), for making the vectors takes longer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penny.calls.rows import fold


Array = NDArray[np.float32]

STEPS = 300
RATE = 0.5
MOMENTUM = 0.9
GRAMS = (2, 4)
"""Characters of the n-grams, from and to."""


def grams_of(text: str) -> Counter[str]:
    """The words, pairs of words and character n-grams of a text, without accents."""
    words = fold(text).split()
    counts = Counter(f"w {word}" for word in words)
    counts.update(f"p {a} {b}" for a, b in zip(words, words[1:], strict=False))
    padded = f" {' '.join(words)} "
    for size in range(GRAMS[0], GRAMS[1] + 1):
        counts.update(padded[at : at + size] for at in range(len(padded) - size + 1))
    return counts


class Grams:
    """Texts as vectors of weighted n-grams (tf-idf), of length 1.

    Args:
        texts: those that the weights come from; a gram of one of them alone is left out.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        spread = Counter(gram for text in texts for gram in grams_of(text))
        kept = sorted(gram for gram, count in spread.items() if count > 1)
        self._place = {gram: at for at, gram in enumerate(kept)}
        self._weight = np.array([np.log(len(texts) / spread[gram]) + 1 for gram in kept])

    def vectors(self, texts: Sequence[str]) -> Array:
        """A row for each text."""
        rows = np.zeros((len(texts), len(self._place)), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for gram, count in grams_of(text).items():
                if (at := self._place.get(gram)) is not None:
                    row[at] = (1 + np.log(count)) * self._weight[at]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        told: Array = rows / np.maximum(lengths, 1e-6)
        return told


@dataclass(frozen=True, slots=True)
class Softmax:
    """Weights of a multinomial logistic regression: one column for each class."""

    weights: Array
    bias: Array

    def probabilities(self, rows: Array) -> Array:
        """A row of probabilities for each of ``rows``."""
        return _softmax(rows @ self.weights + self.bias)


def fit(rows: Array, classes: NDArray[np.int64], count: int, decay: float = 3e-4) -> Softmax:
    """Fit ``count`` classes, each counting alike however often it comes.

    Args:
        decay: of the weights (L2).
    """
    often = np.bincount(classes, minlength=count)
    share = (1.0 / (count * often[classes]))[:, None].astype(np.float32)
    truth = np.eye(count, dtype=np.float32)[classes]
    weights: Array = np.zeros((rows.shape[1], count), dtype=np.float32)
    bias: Array = np.zeros(count, dtype=np.float32)
    speed: Array = np.zeros_like(weights)
    drift: Array = np.zeros_like(bias)
    pace = np.float32(RATE * 4 / max(0.1, float((rows**2).sum(axis=1).mean())))
    for _ in range(STEPS):
        ahead = weights + MOMENTUM * speed
        error = (_softmax(rows @ ahead + bias) - truth) * share
        speed = MOMENTUM * speed - pace * (rows.T @ error + np.float32(decay) * ahead)
        drift = np.asarray(MOMENTUM * drift - pace * error.sum(axis=0), dtype=np.float32)
        weights += speed
        bias += drift
    return Softmax(weights, bias)


def _softmax(rows: Array) -> Array:
    raised = np.exp(rows - rows.max(axis=1, keepdims=True))
    told: Array = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return told
