"""Weights over sentence vectors, fitted beforehand to the same examples: ``data/heads.npz``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from penny.analysis.classifier import Array, Softmax


PATH = Path(__file__).parent / "data" / "heads.npz"


@dataclass(frozen=True, slots=True)
class Head:
    """The weights of one question over vectors of one model.

    ``share``: how much it counts beside the n-grams; ``common``: what vectors have in common, taken
    off each.
    """

    softmax: Softmax
    common: Array
    share: float

    def rows(self, vectors: Array, more: Array | None) -> Array:
        """Vectors as the weights want them."""
        bare = vectors - self.common
        bare = bare / np.maximum(np.linalg.norm(bare, axis=1, keepdims=True), 1e-6)
        return bare if more is None else np.hstack([bare, 0.45 * more])

    def probabilities(self, vectors: Array, more: Array | None = None) -> Array:
        """A row of probabilities for each vector."""
        return self.softmax.probabilities(self.rows(vectors, more))


@cache
def read_heads(model: str) -> dict[str, Head]:
    """The heads by question (``intent``, ``sentiment``); none for another model than they are of.

    Args:
        model: ``Embedder.name``.
    """
    if not PATH.exists():
        return {}
    with np.load(PATH) as kept:
        if str(kept["model"]) != model:
            return {}
        return {
            name: Head(
                Softmax(
                    kept[f"{name}_weights"].astype(np.float32),
                    kept[f"{name}_bias"].astype(np.float32),
                ),
                kept[f"{name}_common"].astype(np.float32),
                float(kept[f"{name}_share"]),
            )
            for name in ("intent", "sentiment")
        }
