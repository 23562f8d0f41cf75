"""Fits kb/weights.json on the dev questions, and says by cross-validation what it is worth.

Rank: each question chooses among its candidates, by a line. Trust: whether the first of them
answers at all, by a quadratic form under a ridge, both kinds of question weighing the same. Both
also see the documents without their callers' words (``frases``, ``palabras``), as another company
may keep them. The rule for a missing code is not fitted; test and fresh sets are never read.

    python -m tests.bench.kb_calibrate [--write]
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
import yaml
from numpy.typing import NDArray

from kb import KbSettings, KnowledgeBase
from kb.evaluation import EvalQuestion, read_questions
from kb.ranking import WEIGHTS, Weights, rank_features, trust_features
from kb.search import find_candidates
from kb.sections import slug_of


ROOT = Path(__file__).resolve().parents[2]
REF = "kb://empresa/documentos"
DEV = ("dev.jsonl", "dev_spoken.jsonl")
# Every rank feature speaks for a passage, but for lost_most.
RANK_SIGNS = np.array([1] * 6 + [-1] + [1] * 10)
RANK_RIDGE = 0.003
TRUST_RIDGE = 0.05
FOLDS = 5
# More than a search weighs, so that there is more to tell apart.
CANDIDATES = 16
LISTED, PHRASES = -1, -2  # folds of what is trained on and never counted
BARE_SHARE = 0.4
PHRASE_SHARE = 0.15
# A question whose answers are taken away should find nothing.
LEFT_OUT_SHARE = 0.1
LISTED_SHARE = 0.2  # a listed question, word for word, is the easy case
STEPS = 800
Array = NDArray[np.float64]
CALLERS_WORDS = re.compile(r"^(?:frases|palabras):.*\n(?:[ ].*\n)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One question: its candidates' features, which of them answer, and how much it weighs."""

    rank: Array
    trust: Array
    right: NDArray[np.bool_]
    answerable: bool
    weight: float
    fold: int


def read_cases(
    documents: Path, asked: list[EvalQuestion], weight: float, folds: NDArray[np.int64]
) -> list[Case]:
    with tempfile.TemporaryDirectory() as folder:
        base = KnowledgeBase.open(KbSettings(documents, Path(folder)))
        view = base.view(REF)
        cases = []
        for question, fold in zip(asked, folds, strict=True):
            found = find_candidates(view, question.text, None, None, CANDIDATES).candidates
            if found:
                cases.append(
                    Case(
                        np.array([rank_features(each.evidence) for each in found]),
                        np.array([trust_features(each.evidence) for each in found]),
                        np.array([each.stored.passage.id in question.answers for each in found]),
                        bool(question.answers),
                        weight,
                        int(fold),
                    )
                )
        base.close()
    return cases


def read_all() -> list[Case]:
    """Return the dev questions with and without callers' words, and the listed questions."""
    asked = [each for name in DEV for each in read_questions(ROOT / "kb" / "eval" / name)]
    folds = np.random.default_rng(3).integers(0, FOLDS, len(asked))
    documents = ROOT / "kb" / "documents"
    cases = read_cases(documents, asked, 1.0, folds)
    with tempfile.TemporaryDirectory() as place:
        bare = Path(place) / "documents"
        shutil.copytree(documents, bare)
        for path in bare.rglob("*.md"):
            path.write_text(CALLERS_WORDS.sub("", path.read_text(encoding="utf-8"), count=2))
        cases += read_cases(bare, asked, BARE_SHARE, folds)
        base = KnowledgeBase.open(KbSettings(documents, Path(place) / "index"))
        listed = [EvalQuestion(q.text, (q.passage_id,), "") for q in base.questions(REF, "es")]
        base.close()
    cases += read_cases(documents, listed, LISTED_SHARE, np.full(len(listed), LISTED))
    return cases + [case for half in (0, 1) for case in read_phrases(documents, half)]


def read_phrases(documents: Path, half: int) -> list[Case]:
    """Return every second phrase as a question to documents that lack it."""
    asked: list[EvalQuestion] = []
    with tempfile.TemporaryDirectory() as place:
        fewer = Path(place) / "documents"
        shutil.copytree(documents, fewer)
        for path in sorted(fewer.rglob("*.md")):
            head, mark, body = path.read_text(encoding="utf-8").partition("\n---\n")
            matter = yaml.safe_load(head.removeprefix("---"))
            for heading, phrases in (matter.get("frases") or {}).items():
                passage = f"{path.name}#{slug_of(heading)}"
                asked += [EvalQuestion(each, (passage,), "") for each in phrases[half::2]]
                matter["frases"][heading] = phrases[1 - half :: 2]
            dumped = yaml.safe_dump(matter, allow_unicode=True, sort_keys=False)
            path.write_text(f"---\n{dumped.rstrip()}{mark}{body}", encoding="utf-8")
        return read_cases(fewer, asked, PHRASE_SHARE, np.full(len(asked), PHRASES))


def fit_rank(cases: list[Case]) -> Array:
    """Return the weights under which the right candidates are likeliest, signs as meant."""
    chosen = [case for case in cases if case.right.any()]
    width, most = len(RANK_SIGNS), max(len(case.right) for case in chosen)
    rows, right = np.zeros((len(chosen), most, width)), np.zeros((len(chosen), most))
    there = np.zeros((len(chosen), most))
    for at, case in enumerate(chosen):
        count = len(case.right)
        rows[at, :count], right[at, :count], there[at, :count] = case.rank, case.right, 1
    share = np.array([case.weight for case in chosen])
    share /= share.sum()
    theta = RANK_SIGNS * 0.5
    mean, square = np.zeros(width), np.zeros(width)
    for step in range(1, STEPS + 1):
        odds = np.exp(np.clip(rows @ theta, -30, 30)) * there
        chance = odds / odds.sum(1, keepdims=True)
        wanted = chance * right / (chance * right).sum(1, keepdims=True)
        slope = np.einsum("n,nk,nkf->f", share, wanted - chance, rows) - RANK_RIDGE * theta
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        theta = theta + 0.05 * (mean / (1 - 0.9**step)) / (
            np.sqrt(square / (1 - 0.999**step)) + 1e-8
        )
        theta = np.where(theta * RANK_SIGNS < 0, 0, theta)
    return np.asarray(theta)


def fit_trust(firsts: Array, answerable: Array, weight: Array) -> tuple[float, Array, Array]:
    """Return (bias, line, form) of a logistic over the features and their products, by Newton.

    Features and products are standardised for the ridge, then written back in their own units.
    """
    upper = np.triu_indices(firsts.shape[1])
    rows = np.concatenate([firsts, firsts[:, upper[0]] * firsts[:, upper[1]]], axis=1)
    centre, scale = rows.mean(0), rows.std(0)
    scale[scale < 1e-9] = 1.0
    rows = np.concatenate([np.ones((len(rows), 1)), (rows - centre) / scale], axis=1)
    share = weight * np.where(
        answerable > 0,
        0.5 / (weight * answerable).sum(),
        0.5 / (weight * (1 - answerable)).sum(),
    )
    ridge = np.full(rows.shape[1], TRUST_RIDGE)
    ridge[0] = 0.0
    theta = np.zeros(rows.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-rows @ theta))
        slope = rows.T @ (share * (answerable - chance)) - ridge * theta
        curve = (rows * (share * chance * (1 - chance))[:, None]).T @ rows + np.diag(ridge)
        theta = theta + np.linalg.solve(curve, slope)
    plain = theta[1:] / scale
    width = firsts.shape[1]
    form = np.zeros((width, width))
    form[upper] = plain[width:]
    return float(theta[0] - plain @ centre), plain[:width], form


def first_of(case: Case, rank: Array) -> Array:
    """Return the trust features of the candidate that the rank puts first."""
    return np.asarray(case.trust[np.argmax(case.rank @ rank)])


def fit(cases: list[Case]) -> Weights:
    rank = fit_rank(cases)
    seen = [case for case in cases if case.fold != LISTED]
    rows = [(first_of(case, rank), float(case.answerable), case.weight) for case in seen]
    for case in seen:
        if case.right.any() and not case.right.all():
            rest = replace(case, rank=case.rank[~case.right], trust=case.trust[~case.right])
            rows.append((first_of(rest, rank), 0.0, LEFT_OUT_SHARE * case.weight))
    firsts = np.array([row[0] for row in rows])
    answerable = np.array([row[1] for row in rows])
    weight = np.array([row[2] for row in rows])
    bias, line, form = fit_trust(firsts, answerable, weight)
    return {
        "rank": [round(each, 3) for each in rank.tolist()],
        "trust_bias": round(bias, 4),
        "trust_line": [round(each, 4) for each in line.tolist()],
        "trust_form": [[round(each, 4) for each in row] for row in form.tolist()],
    }


def count(cases: list[Case], weights: Weights, threshold: float) -> NDArray[np.int64]:
    """Return (first, in five, answerable, false answers, unanswerable)."""
    line, form = np.array(weights["trust_line"]), np.array(weights["trust_form"])
    counts = np.zeros(5, dtype=np.int64)
    for case in cases:
        order = np.argsort(-(case.rank @ np.array(weights["rank"])), kind="stable")
        first = case.trust[order[0]]
        odds = weights["trust_bias"] + first @ (line + form @ first)
        told = 1 / (1 + np.exp(-odds)) >= threshold
        right = case.right[order]
        if case.answerable:
            counts += np.array([told and right[0], told and right[:5].any(), 1, 0, 0], dtype=int)
        else:
            counts += np.array([0, 0, 0, told, 1], dtype=int)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace kb/weights.json")
    options = parser.parse_args()
    cases = read_all()
    models = [fit([case for case in cases if case.fold != fold]) for fold in range(FOLDS)]
    for name, weight in (("documents", 1.0), ("without callers' words", BARE_SHARE)):
        for threshold in (0.4, 0.5, 0.6, 0.7):
            counts = sum(
                count([c for c in cases if c.fold == fold and c.weight == weight], model, threshold)
                for fold, model in enumerate(models)
            )
            first, five, asked, false, unanswerable = np.asarray(counts).tolist()
            print(
                f"{name}, at {threshold}: recall@1 {first / asked:.3f}, recall@5 "
                f"{five / asked:.3f}, false answers {false / unanswerable:.3f}"
            )
    if options.write:
        WEIGHTS.write_bytes(orjson.dumps(fit(cases)) + b"\n")


if __name__ == "__main__":
    main()
