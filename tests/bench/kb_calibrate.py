"""Fits the weights of kb/ranking.py on the dev questions and prints them.

Each question chooses among its candidates and "nothing" (whose score is 0), so a score above 0
means: more likely the answer than none. Signs are kept as meant; the test set is never read.

    python -m tests.bench.kb_calibrate
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb import KbSettings, KnowledgeBase
from kb.evaluation import EvalQuestion, read_questions
from kb.ranking import features
from kb.search import find_candidates


ROOT = Path(__file__).resolve().parents[2]
REF = "kb://empresa/documentos"
SIGNS = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, 1, 1, 1, 1])
RIDGE = 0.003
LEFT_OUT_SHARE = 0.3  # the same question with its answers taken away should find nothing
LISTED_SHARE = 0.2  # a listed question, word for word, is the easy case
Array = NDArray[np.float64]


def read_cases(base: KnowledgeBase, asked: list[EvalQuestion]) -> list[tuple[Array, Array, float]]:
    cases = []
    for question in asked:
        found = find_candidates(base.view(REF), question.text, None, None).candidates
        rows = np.array([features(each.evidence) for each in found])
        right = np.array([each.stored.passage.id in question.answers for each in found])
        if not len(rows):
            continue
        if right.any() or not question.answers:
            cases.append((rows, right, 1.0))
        if right.any() and not right.all():
            cases.append((rows[~right], right[~right], LEFT_OUT_SHARE))
    return cases


def fit(cases: list[tuple[Array, Array, float]], rounds: int = 6000, rate: float = 0.05) -> Array:
    """Gradient ascent with momentum on the likelihood; returns the bias and the weights."""
    theta = np.concatenate([[-3.0], 2.0 * SIGNS])
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(1, rounds + 1):
        gradient = -RIDGE * np.concatenate([[0.0], theta[1:]])
        for rows, right, share in cases:
            odds = np.exp(theta[0] + rows @ theta[1:])
            chance = odds / (1 + odds.sum())
            wanted = chance * right / (chance[right].sum()) if right.any() else 0.0 * chance
            pull = wanted - chance
            gradient += share * np.concatenate([[pull.sum()], pull @ rows]) / len(cases)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        theta += rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        theta[1:] = np.where(theta[1:] * SIGNS < 0, 0, theta[1:])
    return theta


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
        theta = fit(cases, rounds=1500)
        base.close()
    print(f"BIAS = {theta[0]:.2f}")
    print("WEIGHTS = (" + ", ".join(f"{weight:.2f}" for weight in theta[1:]) + ")")


if __name__ == "__main__":
    main()
