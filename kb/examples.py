"""Questions of the documents, shown as examples of what can be asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kb.normal.words import plain_words
from kb.passage import Language, Question


_SPANISH = "que cual cuales como cuando cuanto cuanta cuantos cuantas donde quien puedo"
_ENGLISH = "what which how when where who can do is are"
_ASKS: dict[Language, frozenset[str]] = {
    "es": frozenset(_SPANISH.split()),
    "en": frozenset(_ENGLISH.split()),
}


def choose_examples(questions: Sequence[Question], language: Language, count: int = 3) -> list[str]:
    """Return at most ``count`` listed questions, written as a person would: "¿Qué plazo tengo?".

    Each is the first question of its document, the documents spread evenly; what is no question
    by its first word ("quiero darme de baja") comes only where there are too few others.
    """
    firsts: dict[str, Question] = {}
    for question in questions:
        if _asks(question.text, language):
            firsts.setdefault(question.passage_id.partition("#")[0], question)
    spread = list(firsts.values())
    if len(spread) > count:
        spread = [spread[at * len(spread) // count] for at in range(count)]
    more = [question for question in questions if question not in spread]
    more.sort(key=lambda question: not _asks(question.text, language))
    return [_write(question, language) for question in (spread + more)[:count]]


def _asks(text: str, language: Language) -> bool:
    return plain_words(text).partition(" ")[0] in _ASKS[language]


def _write(question: Question, language: Language) -> str:
    text = question.text[:1].upper() + question.text[1:]
    if not _asks(question.text, language):
        return f"{text}."
    return f"¿{text}?" if language == "es" else f"{text}?"
