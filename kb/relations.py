"""General Spanish, made once and kept as data: which words are near in meaning, and how rare.

The table holds the index keys of the commonest Spanish words, for each its nearest others with
how near they are, and how often it is met. It comes from ``python -m tests.bench.kb_relations``,
which asks a multilingual sentence encoder about single words; searching needs no model.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb.passage import Language


_FOLDER = Path(__file__).parent / "thesaurus"
_FULL = 255.0
# The file keeps minus the logarithm of a word's share of all words, four hundredths a step.
_STEPS_A_DECADE = 25.0
# One word in ten thousand tells little, one in ten million all that a word can tell.
_COMMON_DECADES = 3.0
_RARE_DECADES = 6.0


class Relations:
    """Looked up by index key; nothing is known of a key that is not in the table."""

    def __init__(
        self,
        keys: list[str],
        near: NDArray[np.uint16],
        likeness: NDArray[np.uint8],
        rarity: NDArray[np.uint8],
    ) -> None:
        self._keys = keys
        self._place = {key: at for at, key in enumerate(keys)}
        self._near = near
        self._likeness = likeness
        self._rarity = rarity

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def near(self, key: str) -> list[tuple[str, float]]:
        """Return the nearest keys with their likeness 0..1, the nearest first."""
        at = self._place.get(key)
        if at is None:
            return []
        pairs = zip(self._near[at].tolist(), self._likeness[at].tolist(), strict=True)
        return [(self._keys[other], like / _FULL) for other, like in pairs]

    def rarity(self, key: str) -> float:
        """Return 0..1: how much a word tells by how seldom it is said at all."""
        at = self._place.get(key)
        if at is None:
            return 1.0
        decades = float(self._rarity[at]) / _STEPS_A_DECADE
        share = (decades - _COMMON_DECADES) / (_RARE_DECADES - _COMMON_DECADES)
        return min(1.0, max(0.0, share))


@lru_cache(maxsize=2)
def load_relations(language: Language) -> Relations:
    """Return the language's table, an empty one when it has none."""
    path = _FOLDER / f"{language}_near.npz"
    if not path.is_file():
        nothing = np.zeros((0, 0), np.uint8)
        return Relations([], nothing.astype(np.uint16), nothing, nothing)
    with np.load(path) as stored:
        keys = bytes(stored["keys"]).decode("utf-8").split("\n")
        return Relations(keys, stored["near"], stored["likeness"], stored["rarity"])
