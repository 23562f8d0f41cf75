"""Questions with the passages that answer them, and what the knowledge base makes of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from kb.passage import SearchResult
from penny.errors import PennyError


class InvalidEvalSet(PennyError):
    """A line of the question file has the wrong shape."""

    code = "kb_eval_invalid"


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """A question of an evaluation set.

    ``answers``: ids of the passages that answer, none when nothing does. ``speech``: a group.
    """

    text: str
    answers: tuple[str, ...]
    speech: str


@dataclass(slots=True)
class Score:
    """Counts of one group; the shares are 0..1."""

    asked: int = 0
    first: int = 0
    in_five: int = 0
    reciprocal: float = 0.0

    @property
    def recall_1(self) -> float:
        return self.first / max(1, self.asked)

    @property
    def recall_5(self) -> float:
        return self.in_five / max(1, self.asked)

    @property
    def mrr(self) -> float:
        return self.reciprocal / max(1, self.asked)


@dataclass(slots=True)
class EvalReport:
    """The result of an evaluation.

    ``misses``: (question, wanted, found first) of every answer that is not the first.
    """

    groups: dict[str, Score] = field(default_factory=dict)
    unanswerable: int = 0
    false_answers: int = 0
    took_ms: list[float] = field(default_factory=list)
    misses: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def false_answer_rate(self) -> float:
        return self.false_answers / max(1, self.unanswerable)

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.took_ms) if self.took_ms else 0.0

    @property
    def p99_ms(self) -> float:
        ordered = sorted(self.took_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0


def read_questions(path: Path) -> list[EvalQuestion]:
    """Read one question a line: ``{"question": …, "answers": [passage ids], "speech": …}``.

    Raises:
        InvalidEvalSet: names the line and the field.
        OSError: the file cannot be read.
    """
    questions: list[EvalQuestion] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
            text, answers = row["question"], row["answers"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise InvalidEvalSet(
                f"line {number}: wants an object with question and answers"
            ) from error
        if not isinstance(text, str) or not isinstance(answers, list):
            raise InvalidEvalSet(f"line {number}: question is a text, answers a list of ids")
        questions.append(
            EvalQuestion(text, tuple(map(str, answers)), str(row.get("speech", "clean")))
        )
    return questions


def check_answers(questions: Iterable[EvalQuestion], has: Callable[[str], bool]) -> None:
    """Refuse answers that no passage has: they would count as missed, whatever is found.

    Raises:
        InvalidEvalSet: names every unknown id with its first question.
    """
    unknown: dict[str, str] = {}
    for question in questions:
        for wanted in question.answers:
            if wanted not in unknown and not has(wanted):
                unknown[wanted] = question.text
    if unknown:
        named = "; ".join(f"{wanted} (“{text}”)" for wanted, text in unknown.items())
        raise InvalidEvalSet(f"{len(unknown)} answers are no passage of the collection: {named}")


def evaluate(
    search: Callable[[str], SearchResult], questions: Iterable[EvalQuestion]
) -> EvalReport:
    """Ask everything once. An answerable question that gets no answer counts as not found."""
    report = EvalReport()
    for question in questions:
        result = search(question.text)
        report.took_ms.append(result.took_ms)
        ids = [hit.passage.id for hit in result.hits]
        if not question.answers:
            report.unanswerable += 1
            if result.relevant:
                report.false_answers += 1
                report.misses.append((question.text, "(nothing)", ids[0]))
            continue
        score = report.groups.setdefault(question.speech, Score())
        score.asked += 1
        place = next((at for at, each in enumerate(ids, 1) if each in question.answers), 0)
        score.first += place == 1
        score.in_five += 0 < place <= 5
        score.reciprocal += 1 / place if place else 0.0
        if place != 1:
            found = ids[0] if ids else "(nothing)"
            report.misses.append((question.text, question.answers[0], found))
    return report
