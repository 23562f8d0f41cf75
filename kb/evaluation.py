"""Questions with the passages that answer them, and what the knowledge base makes of them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from kb.normal.words import fold_accents
from kb.passage import Hit, Passage, SearchResult
from penny.errors import PennyError


SHOWN = 12
"""Passages that a model gets to judge by."""
_WORDS = re.compile(r"\w+")


class InvalidEvalSet(PennyError):
    """A line of the question file has the wrong shape."""

    code = "kb_eval_invalid"


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """A question of an evaluation set.

    ``answers``: ids of the passages that answer, none when nothing does. ``speech``: a group.
    ``says``: words of the documents that answer, in place of ids: they stay true however the
    documents are cut; ``find_answers`` looks up whose they are.
    """

    text: str
    answers: tuple[str, ...]
    speech: str
    says: tuple[str, ...] = ()


@dataclass(slots=True)
class Score:
    """Counts of one group; the shares are 0..1.

    ``ranked``, ``shown``: the right one was first, or among the twelve that a model is shown,
    whether or not it would be told with no model judging.
    """

    asked: int = 0
    first: int = 0
    in_five: int = 0
    reciprocal: float = 0.0
    ranked: int = 0
    shown: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.asked + other.asked,
            self.first + other.first,
            self.in_five + other.in_five,
            self.reciprocal + other.reciprocal,
            self.ranked + other.ranked,
            self.shown + other.shown,
        )

    def share(self, count: float) -> float:
        return count / max(1, self.asked)


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
    def whole(self) -> Score:
        return sum(self.groups.values(), Score())

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

    ``"says": [words of the documents]`` may stand in place of ``answers``. A line
    ``{"hand": "who wrote the questions"}`` is for ``read_hand``.

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
            if "hand" in row:
                continue
            text = row["question"]
            answers, says = row.get("answers", []), row.get("says", [])
            if "answers" not in row and "says" not in row:
                raise KeyError("answers")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InvalidEvalSet(
                f"line {number}: wants an object with question and answers, or says"
            ) from error
        if not isinstance(text, str) or not (isinstance(answers, list) and isinstance(says, list)):
            raise InvalidEvalSet(
                f"line {number}: question is a text, answers a list of ids, says a list of texts"
            )
        speech = str(row.get("speech", "clean"))
        questions.append(
            EvalQuestion(text, tuple(map(str, answers)), speech, tuple(map(str, says)))
        )
    return questions


def read_hand(path: Path) -> str:
    """Return who wrote the questions of a file, as its first line says; '' where it does not."""
    first = orjson.loads(path.read_bytes().partition(b"\n")[0])
    return str(first.get("hand", ""))


def find_answers(
    questions: Iterable[EvalQuestion], passages: Sequence[Passage]
) -> list[EvalQuestion]:
    """Return the questions with the ids of the passages that have the words of ``says``.

    Raises:
        InvalidEvalSet: names every answer that no passage is or has: it would count as missed,
            whatever is found.
    """
    texts = {each.id: _bare(" ".join((*each.heading, each.text))) for each in passages}
    unknown: dict[str, str] = {}
    found: list[EvalQuestion] = []
    for question in questions:
        answers = list(question.answers)
        for words in question.says:
            having = [name for name, text in texts.items() if _bare(words) in text]
            answers += having
            if not having:
                unknown.setdefault(words, question.text)
        for name in question.answers:
            if name not in texts:
                unknown.setdefault(name, question.text)
        found.append(replace(question, answers=tuple(dict.fromkeys(answers))))
    if unknown:
        named = "; ".join(f"{wanted} (“{text}”)" for wanted, text in unknown.items())
        raise InvalidEvalSet(f"{len(unknown)} answers are no passage of the collection: {named}")
    return found


def _bare(text: str) -> str:
    return " ".join(_WORDS.findall(fold_accents(text.lower())))


def evaluate(
    search: Callable[[str], SearchResult], questions: Iterable[EvalQuestion]
) -> EvalReport:
    """Ask everything once. An answerable question that gets no answer counts as not found.

    Args:
        search: returns the twelve best whether or not the result is ``relevant``.
    """
    report = EvalReport()
    for question in questions:
        result = search(question.text)
        report.took_ms.append(result.took_ms)
        ids = _ids(result.hits)
        told = ids[:5] if result.relevant else []
        if not question.answers:
            report.unanswerable += 1
            if told:
                report.false_answers += 1
                report.misses.append((question.text, "(nothing)", ids[0]))
            continue
        score = report.groups.setdefault(question.speech, Score())
        score.asked += 1
        place = next((at for at, each in enumerate(told, 1) if each in question.answers), 0)
        score.first += place == 1
        score.in_five += place > 0
        score.reciprocal += 1 / place if place else 0.0
        score.ranked += bool(ids) and ids[0] in question.answers
        score.shown += any(each in question.answers for each in ids[:SHOWN])
        if place != 1:
            found = told[0] if told else "(nothing)"
            report.misses.append((question.text, question.answers[0], found))
    return report


def _ids(hits: Iterable[Hit]) -> list[str]:
    return [hit.passage.id for hit in hits]
