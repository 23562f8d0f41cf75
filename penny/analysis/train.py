"""Fits the weights anew, after examples or the vectors' model changed:

python -m penny.analysis.train
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kb.local_embedder import LocalEmbedder
from penny.analysis import intent, person, sentiment
from penny.analysis.classifier import FITTED, Array, Grams, Softmax, digest_of, fit
from penny.analysis.heads import PATH, Head


SHARE = 0.7
"""Of the vectors beside the n-grams."""


def fit_head(rows: Array, more: Array | None, classes: list[int], count: int) -> Head:
    """Weights of one question."""
    empty = Softmax(np.zeros((1, 1), np.float32), np.zeros(1, np.float32))
    shape = Head(empty, rows.mean(axis=0), SHARE)
    softmax = fit(shape.rows(rows, more), np.array(classes), count)
    return Head(softmax, shape.common, SHARE)


def fit_grams() -> None:
    """Write the weights over n-grams: they need no model."""
    mood = sentiment.fit_to(sentiment.examples())
    questions: dict[str, tuple[Path, Grams, Softmax]] = {
        "intent": (intent.DATA, *intent.fit_examples()),
        "person": (person.DATA, *person.fit_examples()),
        "sentiment": (sentiment.DATA, mood.grams, mood.softmax),
    }
    kept: dict[str, Any] = {}
    for name, (examples, grams, softmax) in questions.items():
        kept[f"{name}_digest"] = np.array(digest_of(examples))
        kept[f"{name}_names"], kept[f"{name}_weight"] = np.array(grams.names), grams.weight
        kept[f"{name}_weights"], kept[f"{name}_bias"] = softmax.weights, softmax.bias
    np.savez_compressed(FITTED, **kept)


def main() -> None:
    fit_grams()
    embedder = LocalEmbedder()
    wanted, moods = intent.examples(), sentiment.examples()
    asked = embedder.embed_queries([text for _, text in wanted])
    said = [text for _, _, text in moods]
    cues = sentiment.cues(said)
    heads = {
        "intent": fit_head(asked, None, [at for at, _ in wanted], len(intent.INTENTS)),
        "sentiment": fit_head(
            embedder.embed_queries(said), cues, [at for _, at, _ in moods], len(sentiment.LEVELS)
        ),
    }
    kept: dict[str, Any] = {"model": np.array(embedder.name)}
    for name, head in heads.items():
        kept[f"{name}_weights"] = head.softmax.weights.astype(np.float16)
        kept[f"{name}_bias"] = head.softmax.bias
        kept[f"{name}_common"] = head.common
        kept[f"{name}_share"] = np.array(head.share)
    np.savez_compressed(PATH, **kept)


if __name__ == "__main__":
    main()
