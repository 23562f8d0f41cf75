"""A question is compared with what it finds elsewhere, in vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kb.embedder import Vectors
from kb.rivals import Rivals, foreign_of


pytestmark = pytest.mark.pure

# Two opposite questions have nothing in common, so nothing is taken off a question.
ABOUT_ANYTHING = np.array([[0, 0, 0, 1], [0, 0, 0, -1]], dtype=np.float32)
HERE, ELSEWHERE = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]


def rows_of(*each: list[float]) -> Vectors:
    rows = np.array(each, dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize(
    ("asked", "answers"), [([1.0, 0.1, 0, 0], True), ([0.1, 1.0, 0, 0], False)]
)
def test_what_is_nearer_to_passages_of_other_trades_is_not_beyond_them(
    asked: list[float], answers: bool
) -> None:
    rivals = Rivals(ABOUT_ANYTHING, rows_of(HERE), rows_of(ELSEWHERE, ELSEWHERE, ELSEWHERE))
    bare = rivals.bare(rows_of(asked)[0])

    beyond = rivals.beyond(bare)(float(rows_of(HERE)[0] @ bare))

    assert (beyond > 0.0) is answers


def test_without_passages_of_other_trades_the_questions_about_anything_are_the_rival() -> None:
    rivals = Rivals(ABOUT_ANYTHING, rows_of(HERE), np.array([], dtype=np.float32))
    bare = rivals.bare(rows_of([0.1, 1.0, 0.0, 0.0])[0])

    assert rivals.beyond(bare)(0.1) > 0.0 > rivals.beyond(bare)(-0.1)


def test_a_passage_elsewhere_as_near_as_the_collections_own_are_to_each_other_is_no_rival() -> None:
    own = rows_of([1.0, 0.0, 0.0, 0.0], [1.0, 0.2, 0.0, 0.0], [1.0, 0.0, 0.2, 0.0])
    same_trade, other_trade = rows_of([1.0, 0.1, 0.0, 0.0], [0.2, 0.0, 0.0, 1.0])

    left = foreign_of(np.stack([same_trade, other_trade]), own, [[0], [1], [2]])

    assert left.tolist() == [other_trade.tolist()]


def test_windows_of_one_passage_are_not_neighbours_of_each_other() -> None:
    own = rows_of([1.0, 0.0, 0.0, 0.0], [1.0, 0.01, 0.0, 0.0], [0.5, 0.0, 1.0, 0.0])
    near = rows_of([1.0, 0.3, 0.0, 0.0])

    assert len(foreign_of(near, own, [[0, 1], [2]])) == 0
    assert len(foreign_of(near, own, [[0], [1], [2]])) == 0
    assert len(foreign_of(rows_of([0.3, 1.0, 0.0, 0.0]), own, [[0, 1], [2]])) == 1
