"""The desk of passages: the knowledge base as the models use it.

Models read passages whole, with their heading path; the short spoken form is for what is read
aloud. What a speaker is given without a judge of it is only what is sure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from brain.analysis import Excerpt
from brain.folio import ContextUpdate
from brain.quoting import clean_text, quote_json
from kb import KnowledgeBase, Passage, UnknownCollection
from penny.localized import language_of


log = structlog.get_logger()

Json = dict[str, Any]

BRAIN_CHARS = 14_000
"""Of passages in one request to the brain: about 4,000 tokens."""
SPEAKER_CHARS = 2_400
"""Of passages given to a speaker at once: about 700 tokens."""
SHORT_CHARS = 160
"""A passage shorter than this is read with what stands beside it in its document."""
BESIDE = 0.2
"""Least score of a further passage that is not judged."""
MIN_SCORE_TO_READ = 0.0
"""Of what the brain is shown: it judges for itself, and may say that nothing answers. On the 180
questions of ``kb/eval/callers_dev.jsonl`` that have an answer, 10 passages without a floor show it
169 times, with one of 0.2 160 times, and 3 passages with it 153 times."""


class Library:
    """One collection for one session. A missing collection finds nothing, logged once."""

    def __init__(self, base: KnowledgeBase | None, ref: str, language: str) -> None:
        self._base = base
        self._ref = ref
        self._language = language_of(language)

    def search(
        self, text: str, limit: int, *, sure: bool, vectors: bool = True
    ) -> tuple[Excerpt, ...]:
        """Passages, best first, as many as fit.

        Args:
            sure: for a reader that takes it for true; else for one that judges.
            vectors: whether the embedder is asked too, and neighbours are read along.
        """
        if self._base is None or not text.strip():
            return ()
        try:
            result = self._base.search(
                self._ref,
                text,
                limit=limit,
                language=self._language,
                min_score=None if sure else MIN_SCORE_TO_READ,
                vectors=vectors,
                keep=vectors,
            )
        except UnknownCollection as error:
            self._base = None
            log.warning("kb_collection_missing", ref=self._ref, reason=error.message)
            return ()
        found = [
            Excerpt(
                id=hit.passage.id,
                title=" / ".join(hit.passage.heading),
                text=self._whole(self._base, hit.passage) if vectors else hit.passage.text,
                fields=dict(hit.passage.fields),
                score=round(hit.score, 3),
                source=hit.passage.source,
            )
            for hit in result.hits
        ]
        if not sure:
            return _fit(found, BRAIN_CHARS)
        # The best, and what stands beside it, not what was merely near.
        return _fit([p for p in found if p.score >= BESIDE or p is found[0]], SPEAKER_CHARS)

    def _whole(self, base: KnowledgeBase, passage: Passage) -> str:
        """A passage's text; of a short one of prose, its neighbours' too, by their headings."""
        text = passage.text or passage.speakable
        if passage.fields or len(text) >= SHORT_CHARS:
            return text
        near = [each for each in base.beside(passage) if not each.fields]
        return "\n".join([text, *(": ".join([*p.heading[-1:], p.text]) for p in near)])


def _fit(found: list[Excerpt], most_chars: int) -> tuple[Excerpt, ...]:
    """The first passages that fit, whole; the first one in any case, cut only when it alone is
    too long."""
    kept: list[Excerpt] = []
    left = most_chars
    for each in found:
        size = len(each.title) + len(each.text)
        if size > left and kept:
            continue
        if size > left:
            each = replace(each, text=each.text[: max(0, left - len(each.title) - 1)] + "…")
        kept.append(each)
        left -= size
    return tuple(kept)


def update_from_facts(
    words: str, found: tuple[Excerpt, ...], timestamp: str, language: str
) -> ContextUpdate | None:
    """A folio of the knowledge base alone: what stands in for a brain that does not answer."""
    if not found:
        return None
    english = language_of(language) == "en"
    data: Json = quote_json(found[0].fields)
    if not data:
        name = "fact" if english else "dato"
        data = {f"{name}_{n}": clean_text(p.text) for n, p in enumerate(found, 1)}
    asks = "Asks" if english else "Pregunta de la persona"
    return ContextUpdate(
        timestamp=timestamp,
        user_intent=f"{asks}: «{clean_text(words, 200).strip(' .¿?¡!')}»",
        relevant_data=dict(list(data.items())[:24]),
    )


def as_passages(found: tuple[Excerpt, ...]) -> tuple[Json, ...]:
    """As the session protocol shows them."""
    shown = ("id", "source", "title", "text", "score")
    return tuple({name: getattr(each, name) for name in shown} for each in found)
