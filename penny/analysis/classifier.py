"""Short sentences into classes: n-grams, and vectors where there are any, under one softmax. Pure.

Weights are fitted beforehand (``python -m penny.analysis.train``) and kept: a fit takes seconds
of a busy core, which every call of a gateway would hear when its first caller speaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penny.calls.rows import fold


Array = NDArray[np.float32]

STEPS = 300
RATE = 0.5
MOMENTUM = 0.9
FITTED = Path(__file__).parent / "data" / "grams.npz"
"""Weights over n-grams, by question, and what they were fitted to (``digest_of``)."""
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
        names: the n-grams, one for each column.
        weight: of each.
    """

    def __init__(self, names: Sequence[str], weight: NDArray[np.float64]) -> None:
        self.names, self.weight = names, weight
        self._place = {gram: at for at, gram in enumerate(names)}

    @classmethod
    def of(cls, texts: Sequence[str]) -> Grams:
        """The n-grams and weights of ``texts``; a gram of one of them alone is left out."""
        spread = Counter(gram for text in texts for gram in grams_of(text))
        kept = sorted(gram for gram, count in spread.items() if count > 1)
        return cls(kept, np.array([np.log(len(texts) / spread[gram]) + 1 for gram in kept]))

    def vectors(self, texts: Sequence[str]) -> Array:
        """A row for each text."""
        rows = np.zeros((len(texts), len(self._place)), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for gram, count in grams_of(text).items():
                if (at := self._place.get(gram)) is not None:
                    row[at] = (1 + np.log(count)) * self.weight[at]
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


def read_fitted(question: str) -> tuple[Grams, Softmax]:
    """The n-grams of ``intent``, ``person`` or ``sentiment`` and the weights over them."""
    with np.load(FITTED) as kept:
        names, weight, weights, bias = (
            kept[f"{question}_{part}"] for part in ("names", "weight", "weights", "bias")
        )
    return Grams(names.tolist(), weight), Softmax(weights, bias)


def digest_of(examples: Path) -> str:
    """What changes with a file of examples, however its lines end."""
    return sha256(examples.read_text(encoding="utf-8").encode()).hexdigest()


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
