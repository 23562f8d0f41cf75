"""The weights that are kept are those of the examples as they now stand."""

from __future__ import annotations

import numpy as np
import pytest

from penny.analysis import intent, person, sentiment
from penny.analysis.classifier import FITTED, digest_of, read_fitted


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("question", "room"), [("intent", intent), ("person", person), ("sentiment", sentiment)]
)
def test_examples_changed_without_a_fit_are_seen(question: str, room: object) -> None:
    with np.load(FITTED) as kept:
        digest = str(kept[f"{question}_digest"])
    remedy = "run: python -m penny.analysis.train"
    assert digest == digest_of(room.DATA), remedy  # type: ignore[attr-defined]


@pytest.mark.parametrize(("question", "classes"), [("intent", 10), ("person", 2), ("sentiment", 5)])
def test_a_kept_weight_stands_for_each_gram_and_class(question: str, classes: int) -> None:
    grams, softmax = read_fitted(question)
    cues = sentiment.cues(["hola"]).shape[1] if question == "sentiment" else 0
    assert softmax.weights.shape == (len(grams.names) + cues, classes)
    assert softmax.probabilities(np.zeros((1, len(grams.names) + cues), np.float32)).shape == (
        1,
        classes,
    )
