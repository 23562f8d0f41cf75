"""Fits the weights of kb/ranking.py on the dev questions and prints them.

Rank: each question chooses among its candidates and "nothing". Trust: whether the first of them
answers at all, both kinds of question weighing the same. Signs are kept as meant; the rule for a
missing code is not fitted; the test set is never read.

    python -m tests.bench.kb_calibrate
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb import KbSettings, KnowledgeBase
from kb.evaluation import EvalQuestion, read_questions
from kb.ranking import rank, rank_features, trust_features
from kb.search import find_candidates


ROOT = Path(__file__).resolve().parents[2]
REF = "kb://empresa/documentos"
RANK_SIGNS = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, 1, 1, 1, 1])
TRUST_SIGNS = np.array([1, 1, 1, 1, 1, 1, -1, 1, 1, -1, 1, -1])
RIDGE = 0.003
TRUST_RIDGE = 0.001
LEFT_OUT_SHARE = 0.3  # the same question with its answers taken away should find nothing
LISTED_SHARE = 0.2  # a listed question, word for word, is the easy case
Array = NDArray[np.float64]


def read_cases(base: KnowledgeBase, asked: list[EvalQuestion]) -> list[tuple[Array, Array, float]]:
    cases = []
    for question in asked:
        found = find_candidates(base.view(REF), question.text, None, None).candidates
        rows = np.array([rank_features(each.evidence) for each in found])
        right = np.array([each.stored.passage.id in question.answers for each in found])
        if not len(rows):
            continue
        if right.any() or not question.answers:
            cases.append((rows, right, 1.0))
        if right.any() and not right.all():
            cases.append((rows[~right], right[~right], LEFT_OUT_SHARE))
    return cases


def read_first(base: KnowledgeBase, asked: list[EvalQuestion]) -> tuple[Array, Array]:
    """Return the trust features of each question's first candidate, and whether it has answers."""
    rows, answered = [], []
    for question in asked:
        found = find_candidates(base.view(REF), question.text, None, None).candidates
        if found:
            first = max(found, key=lambda each: rank(each.evidence))
            rows.append(trust_features(first.evidence))
            answered.append(bool(question.answers))
    return np.array(rows), np.array(answered, dtype=float)


def fit_rank(cases: list[tuple[Array, Array, float]]) -> Array:
    """Return the bias and the weights under which the right candidates are likeliest."""

    def gradient(theta: Array) -> Array:
        slope = -RIDGE * np.concatenate([[0.0], theta[1:]])
        for rows, right, share in cases:
            odds = np.exp(theta[0] + rows @ theta[1:])
            chance = odds / (1 + odds.sum())
            wanted = chance * right / (chance[right].sum()) if right.any() else 0.0 * chance
            pull = wanted - chance
            slope += share * np.concatenate([[pull.sum()], pull @ rows]) / len(cases)
        return slope

    return climb(gradient, RANK_SIGNS)


def fit_trust(rows: Array, answered: Array) -> Array:
    share = np.where(answered == 1, 0.5 / answered.sum(), 0.5 / (1 - answered).sum())

    def gradient(theta: Array) -> Array:
        pull = share * (answered - 1 / (1 + np.exp(-(theta[0] + rows @ theta[1:]))))
        ridge = TRUST_RIDGE * np.concatenate([[0.0], theta[1:]])
        return np.concatenate([[pull.sum()], pull @ rows]) - ridge

    return climb(gradient, TRUST_SIGNS)


def climb(gradient: Callable[[Array], Array], signs: Array, steps: int = 1500) -> Array:
    """Gradient ascent with momentum; a weight that leaves its sign stops at 0."""
    theta = np.concatenate([[-3.0], signs.astype(float)])
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(1, steps + 1):
        slope = gradient(theta)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        theta += 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        theta[1:] = np.where(theta[1:] * signs < 0, 0, theta[1:])
    return theta


def show(name: str, theta: Array) -> None:
    print(f"{name}_BIAS = {theta[0]:.2f}")
    print(f"{name}_WEIGHTS = (" + ", ".join(f"{weight:.2f}" for weight in theta[1:]) + ")")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = KnowledgeBase.open(KbSettings(ROOT / "kb" / "documents", Path(folder)))
        asked = read_questions(ROOT / "kb" / "eval" / "dev.jsonl")
        listed = [
            EvalQuestion(each.text, (each.passage_id,), "listed")
            for each in base.questions(REF, "es")
        ]
        cases = read_cases(base, asked)
        cases += [(rows, right, LISTED_SHARE) for rows, right, _ in read_cases(base, listed)]
        show("RANK", fit_rank(cases))
        show("TRUST", fit_trust(*read_first(base, asked)))
        base.close()


if __name__ == "__main__":
    main()
