"""General Spanish, made once and kept as data: which words are near in meaning.

The table holds the index keys of the commonest Spanish words, each with its nearest others and
how near they are. It comes from ``python -m tests.bench.kb_relations``,
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


class Relations:
    """Looked up by index key; nothing is known of a key that is not in the table."""

    def __init__(
        self,
        keys: list[str],
        near: NDArray[np.uint16],
        likeness: NDArray[np.uint8],
    ) -> None:
        self._keys = keys
        self._place = {key: at for at, key in enumerate(keys)}
        self._near = near
        self._likeness = likeness

    def knows(self, key: str) -> bool:
        """Whether the key is one of the language's common words; without a table, all are."""
        return not self._place or key in self._place

    def near(self, key: str) -> list[tuple[str, float]]:
        """Return the nearest keys with their likeness 0..1, the nearest first."""
        at = self._place.get(key)
        if at is None:
            return []
        pairs = zip(self._near[at].tolist(), self._likeness[at].tolist(), strict=True)
        return [(self._keys[other], like / _FULL) for other, like in pairs]


@lru_cache(maxsize=2)
def load_relations(language: Language) -> Relations:
    """Return the language's table, an empty one when it has none."""
    path = _FOLDER / f"{language}_near.npz"
    if not path.is_file():
        nothing = np.zeros((0, 0), np.uint8)
        return Relations([], nothing.astype(np.uint16), nothing)
    with np.load(path) as stored:
        keys = bytes(stored["keys"]).decode("utf-8").split("\n")
        return Relations(keys, stored["near"], stored["likeness"])
