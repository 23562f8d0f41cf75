"""The newcomer's questions, and what makes an answer right."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import yaml


QUESTIONS = Path(__file__).with_name("questions.yaml")


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is asked, and the facts that a right answer holds.

    ``recording``: a file of a person who says it, asked with where it is at hand.
    """

    language: str
    voice: str
    question: str
    facts: tuple[str, ...]
    recording: str = ""

    def missing(self, answer: str) -> list[str]:
        """The facts that an answer lacks; empty when it is right."""
        plain = fold(answer)
        return [fact for fact in self.facts if not re.search(rf"\b(?:{fact})\b", plain)]


def read_questions(path: Path = QUESTIONS) -> list[Question]:
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Question(**{**row, "facts": tuple(row["facts"])}) for row in rows]


def fold(text: str) -> str:
    """Lower case, without accents."""
    letters = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
