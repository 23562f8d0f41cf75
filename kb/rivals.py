"""What a question is near to besides its answer: by how much an answer must be nearer. Pure.

A cosine alone says little of whether a passage answers: some collections are near to every
question, and some questions to every passage. So each is compared with two rivals: what questions
about anything find in this collection, and what this question finds in passages of other trades.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from kb.embedder import Vectors


LEAST_SPREAD = 0.01
_MEDIAN_TO_DEVIATION = 1.4826
_NEAREST_ELSEWHERE = 3
_SOME_PASSAGES = 64
_NEAR_AS_OWN = 0.1
"""The share of a collection's own passages whose nearest neighbour is farther than that."""


class Rivals:
    """What questions about anything have in common, and how near they come to a collection and to
    passages of other trades."""

    def __init__(self, asked: Vectors, rows: Vectors, elsewhere: Vectors) -> None:
        self._common = asked.mean(axis=0)
        self._elsewhere = elsewhere
        bare = np.stack([self.bare(each) for each in asked])
        best = (rows @ bare.T).max(axis=0) if len(rows) else np.zeros(len(asked))
        self._best = float(np.median(best))
        spread = _MEDIAN_TO_DEVIATION * float(np.median(np.abs(best - self._best)))
        self._spread = max(LEAST_SPREAD, spread)
        spread = float(np.median((bare @ elsewhere.T).std(axis=1))) if len(elsewhere) else 0.0
        self._spread_elsewhere = max(LEAST_SPREAD, spread)

    def bare(self, query: Vectors) -> Vectors:
        """The question without what it has in common with others, of length 1."""
        rest = query - self._common
        return np.asarray(rest / max(LEAST_SPREAD, float(np.linalg.norm(rest))), dtype=np.float32)

    def beyond(self, bare: Vectors) -> Callable[[float], float]:
        """Return what tells ``Near.beyond`` of a cosine with this question."""
        if len(self._elsewhere) < _NEAREST_ELSEWHERE:
            return lambda cosine: (cosine - self._best) / self._spread
        nearest = np.sort(cosines_of(self._elsewhere, bare))[-_NEAREST_ELSEWHERE:]
        there = float(nearest.mean())
        return lambda cosine: min(
            (cosine - self._best) / self._spread, (cosine - there) / self._spread_elsewhere
        )


def foreign_of(elsewhere: Vectors, rows: Vectors, of: Iterable[list[int]]) -> Vectors:
    """Those of other trades that are none of this collection's: what is as near to it as its own
    passages are to each other may answer here.

    Args:
        of: the rows of each passage.
    """
    passages = list(of)
    if not passages or not len(elsewhere):
        return elsewhere
    some = passages[:: max(1, len(passages) // _SOME_PASSAGES)]
    own = rows[[mine[0] for mine in some]] @ rows.T
    for cosines, mine in zip(own, some, strict=True):
        cosines[mine] = -1.0
    near = np.quantile(own.max(axis=1), _NEAR_AS_OWN)
    return np.asarray(elsewhere[(elsewhere @ rows.T).max(axis=1) < near], dtype=np.float32)


def cosines_of(rows: Vectors, query: Vectors) -> Vectors:
    """Not by BLAS: its threads wait for each other 40 ms where other work runs."""
    return np.asarray(np.einsum("rd,d->r", rows, query), dtype=np.float32)
