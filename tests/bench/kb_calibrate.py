"""Fits kb/weights.json on the dev questions, and says by cross-validation what it is worth.

Rank: each question chooses among its candidates, by a line. Trust: whether the first of them
answers at all, by a second line under a ridge. They see
the sample company's documents with and without their callers' words (``frases``, ``palabras``),
and another company's documents, which never had any. The rule for a missing code is not fitted;
test, fresh and held-out sets are never read.

    python -m tests.bench.kb_calibrate [--write]
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
import yaml
from numpy.typing import NDArray

from kb import KbSettings, KnowledgeBase
from kb.evaluation import EvalQuestion, read_questions
from kb.evidence import NOTHING, Evidence
from kb.normal.words import cut_words
from kb.ranking import (
    MISSING_CODE_ODDS,
    WEIGHTS,
    Weights,
    rank_features,
    standings,
    trust_features,
)
from kb.search import find_candidates
from kb.sections import slug_of


ROOT = Path(__file__).resolve().parents[2]
REF = "kb://empresa/documentos"
DEV = ("dev.jsonl", "dev_spoken.jsonl", "callers_dev.jsonl")
OTHER = ROOT / "tests" / "kb" / "other_company"
OTHER_REF = "kb://luvia/clientes"
# Every rank feature speaks for a passage, but for lost_most.
RANK_SIGNS = np.array([1] * 6 + [-1] + [1] * 10)
RANK_RIDGE = 0.001
TRUST_RIDGE = 0.002
FOLDS = 5
# Of all the weight, that of the unanswerable: the least with which, cross-validated, at most 5 %
# of both companies' are answered.
FALSE_SHARE = 0.705
CANDIDATES = 16  # more than a search weighs, so that there is more to tell apart
LISTED, PHRASES = -1, -2  # folds of what is trained on and never counted
BARE_SHARE = 0.5
PHRASE_SHARE = 0.03
# A question whose answers are taken away should find nothing.
LEFT_OUT_SHARE = 0.1
# Questions about one company's own trade, asked of the other, should find nothing either.
CROSSED_SHARE = 0.3
OWN_TRADE = {
    REF: "alcantarillado averias calidad_agua contador contador_tecnico hogar hogar_eficiente "
    "movilidad seguridad solar tarifas",
    OTHER_REF: "averias-fibra averias-movil dispositivos fibra instalacion portabilidad roaming "
    "router-y-wifi tarifas-moviles television telefono-fijo",
}
LISTED_SHARE = 0.2  # a listed question, word for word, is the easy case
STEPS = 800
Array = NDArray[np.float64]
CALLERS_WORDS = re.compile(r"^(?:frases|palabras):.*\n(?:[ ].*\n)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One question: its candidates, which of them answer, and how much it weighs.

    ``name``: the documents and questions it is counted with. ``words``: how long it is.
    """

    name: str
    rank: Array
    evidence: tuple[Evidence, ...]
    right: NDArray[np.bool_]
    answerable: bool
    weight: float
    fold: int
    words: int

    def without(self) -> Case:
        """Return the question with its answers taken away: it should find nothing."""
        kept = ~self.right
        rest = tuple(each for each, stays in zip(self.evidence, kept, strict=True) if stays)
        return replace(self, rank=self.rank[kept], evidence=rest, right=self.right[kept])


def fold_of(question: EvalQuestion) -> int:
    """Questions that one passage answers stand in one fold."""
    whose = question.answers[0] if question.answers else question.text
    return zlib.crc32(whose.encode()) % FOLDS


def read_cases(
    name: str,
    documents: Path,
    asked: list[EvalQuestion],
    weight: float,
    fold: int | None = None,
    ref: str = REF,
) -> list[Case]:
    with tempfile.TemporaryDirectory() as folder:
        base = KnowledgeBase.open(KbSettings(documents, Path(folder)))
        view = base.view(ref)
        cases = []
        for question in asked:
            found = find_candidates(view, question.text, None, None, CANDIDATES).candidates
            evidence = tuple(each.evidence for each in found) or (NOTHING,)
            right = [each.stored.passage.id in question.answers for each in found] or [False]
            cases.append(
                Case(
                    name,
                    np.array([rank_features(each) for each in evidence]),
                    evidence,
                    np.array(right),
                    bool(question.answers),
                    weight,
                    fold_of(question) if fold is None else fold,
                    len(cut_words(question.text)),
                )
            )
        base.close()
    return cases


def read_all() -> list[Case]:
    """Return the dev questions with and without callers' words, and the listed questions."""
    documents = ROOT / "kb" / "documents"
    asked = {name: read_questions(ROOT / "kb" / "eval" / name) for name in DEV}
    other = read_questions(OTHER / "dev.jsonl")
    cases = read_cases("another company", OTHER / "documents", other, 1.0, ref=OTHER_REF)
    with tempfile.TemporaryDirectory() as place:
        bare = Path(place) / "documents"
        shutil.copytree(documents, bare)
        for path in bare.rglob("*.md"):
            path.write_text(CALLERS_WORDS.sub("", path.read_text(encoding="utf-8"), count=2))
        for name, questions in asked.items():
            cases += read_cases(name, documents, questions, 1.0)
            cases += read_cases(f"{name}, no callers' words", bare, questions, BARE_SHARE)
        foreign = own_trade([each for questions in asked.values() for each in questions], REF)
        cases += read_cases(
            "another trade, asked of another company",
            OTHER / "documents",
            foreign,
            CROSSED_SHARE,
            ref=OTHER_REF,
        )
        crossed = own_trade(other, OTHER_REF)
        cases += read_cases("another trade", documents, crossed, CROSSED_SHARE)
        cases += read_cases("another trade, no callers' words", bare, crossed, CROSSED_SHARE)
        base = KnowledgeBase.open(KbSettings(documents, Path(place) / "index"))
        listed = [EvalQuestion(q.text, (q.passage_id,), "") for q in base.questions(REF, "es")]
        base.close()
    cases += read_cases("listed", documents, listed, LISTED_SHARE, LISTED)
    return cases + [case for half in (0, 1) for case in read_phrases(documents, half)]


def own_trade(asked: list[EvalQuestion], ref: str) -> list[EvalQuestion]:
    """Return the questions that only the documents of one company's trade answer, unanswered."""
    files = OWN_TRADE[ref].split()
    return [
        replace(each, answers=())
        for each in asked
        if each.answers and all(answer.split(".")[0] in files for answer in each.answers)
    ]


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
        return read_cases("phrases", fewer, asked, PHRASE_SHARE, PHRASES)


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


def fit_trust(rows: Array, answerable: Array, weight: Array) -> tuple[float, Array]:
    """Return (bias, line) of a logistic over the features, by Newton.

    Features are standardised for the ridge, then written back in their own units.
    """
    centre, scale = rows.mean(0), rows.std(0)
    scale[scale < 1e-9] = 1.0
    rows = np.concatenate([np.ones((len(rows), 1)), (rows - centre) / scale], axis=1)
    share = weight * np.where(
        answerable > 0,
        (1 - FALSE_SHARE) / (weight * answerable).sum(),
        FALSE_SHARE / (weight * (1 - answerable)).sum(),
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
    return float(theta[0] - plain @ centre), plain


def order_of(case: Case, rank: Array) -> tuple[NDArray[np.int64], Array]:
    """Return (the candidates best first, what the trust sees of the first)."""
    codes = np.array([each.missing_code for each in case.evidence])
    odds = case.rank @ rank - MISSING_CODE_ODDS * codes
    order = np.argsort(-odds, kind="stable")
    standing = standings(odds[order].tolist(), case.words, 1)[0]
    return order, np.array(trust_features(case.evidence[order[0]], standing))


def fit(cases: list[Case]) -> Weights:
    rank = fit_rank(cases)
    seen = [case for case in cases if case.fold != LISTED]
    rows = [(order_of(case, rank)[1], float(case.answerable), case.weight) for case in seen]
    rows += [
        (order_of(case.without(), rank)[1], 0.0, LEFT_OUT_SHARE * case.weight)
        for case in seen
        if case.right.any() and not case.right.all()
    ]
    firsts = np.array([row[0] for row in rows])
    answerable = np.array([row[1] for row in rows])
    weight = np.array([row[2] for row in rows])
    bias, line = fit_trust(firsts, answerable, weight)
    return {
        "rank": [round(each, 3) for each in rank.tolist()],
        "trust_bias": round(bias, 4),
        "trust": [round(each, 4) for each in line.tolist()],
    }


def count(cases: list[Case], weights: Weights, threshold: float) -> NDArray[np.int64]:
    """Return (first, in five, answerable, false answers, unanswerable)."""
    counts = np.zeros(5, dtype=np.int64)
    for case in cases:
        order, first = order_of(case, np.array(weights["rank"]))
        evidence = case.evidence[order[0]]
        odds = weights["trust_bias"] + first @ np.array(weights["trust"])
        odds -= MISSING_CODE_ODDS * evidence.missing_code
        told = evidence.coverage > 0 and 1 / (1 + np.exp(-odds)) >= threshold
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
    for name in dict.fromkeys(case.name for case in cases if case.fold >= 0):
        for threshold in (0.5, 0.6, 0.7):
            counts = sum(
                count([c for c in cases if c.fold == fold and c.name == name], model, threshold)
                for fold, model in enumerate(models)
            )
            first, five, asked, false, unanswerable = np.asarray(counts).tolist()
            print(
                f"{name}, at {threshold}: recall@1 {first / max(1, asked):.3f}, recall@5 "
                f"{five / max(1, asked):.3f}, false answers {false / unanswerable:.3f}"
            )
    if options.write:
        WEIGHTS.write_bytes(orjson.dumps(fit(cases)) + b"\n")


if __name__ == "__main__":
    main()
