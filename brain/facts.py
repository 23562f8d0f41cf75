"""The knowledge base as the brain uses it: searched locally, off the loop, within a limit."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import structlog

from brain.analysis import Excerpt
from brain.folio import ContextUpdate
from kb import KnowledgeBase, UnknownCollection


log = structlog.get_logger()

Json = dict[str, Any]

MAX_TEXT_CHARS = 600
MIN_SCORE_TO_READ = 0.2
"""Of what the brain is shown: it judges for itself. On ``kb/eval/callers_dev.jsonl`` it then sees
the passage that answers for 87 of 100 questions rather than 68, and passages for 32 rather than 8
of 100 that nothing answers."""


class Library:
    """One collection for one session. A missing collection finds nothing, logged once."""

    def __init__(self, base: KnowledgeBase | None, ref: str, language: str) -> None:
        self._base = base
        self._ref = ref
        self._language: Literal["es", "en"] = "en" if language.startswith("en") else "es"
        self._missing = base is None

    async def search(
        self, text: str, limit: int, *, min_score: float | None = None
    ) -> tuple[Excerpt, ...]:
        """Passages that answer, best first, looked for in a thread; none when none is sure.

        Args:
            min_score: as of ``KnowledgeBase.search``.
        """
        if self._missing or not text.strip():
            return ()
        return await asyncio.to_thread(self._search, text, limit, min_score, vectors=True)

    def search_now(self, text: str, limit: int) -> tuple[Excerpt, ...]:
        """The same by words alone, here and now: a millisecond, where a thread's turn may take ten
        and an embedder many more."""
        return self._search(text, limit, None, vectors=False)

    def _search(
        self, text: str, limit: int, min_score: float | None, *, vectors: bool
    ) -> tuple[Excerpt, ...]:
        if self._missing or self._base is None or not text.strip():
            return ()
        try:
            result = self._base.search(
                self._ref,
                text,
                limit=limit,
                language=self._language,
                min_score=min_score,
                vectors=vectors,
            )
        except UnknownCollection as error:
            self._missing = True
            log.warning("kb_collection_missing", ref=self._ref, reason=error.message)
            return ()
        return tuple(
            Excerpt(
                id=hit.passage.id,
                title=" / ".join(hit.passage.heading),
                text=(hit.passage.speakable or hit.passage.text)[:MAX_TEXT_CHARS],
                fields=dict(hit.passage.fields),
                score=round(hit.score, 3),
                source=hit.passage.source,
            )
            for hit in result.hits
        )


def update_from_facts(
    words: str, found: tuple[Excerpt, ...], timestamp: str, language: str
) -> ContextUpdate | None:
    """A folio of the knowledge base alone: what stands in for a brain that does not answer."""
    if not found:
        return None
    english = language.startswith("en")
    intent = words.strip(" .¿?¡!")[:200]
    data: Json = dict(found[0].fields)
    if not data:
        data = {f"{'fact' if english else 'dato'}_{n}": p.text for n, p in enumerate(found, 1)}
    return ContextUpdate(
        timestamp=timestamp,
        user_intent=f"{'Asks' if english else 'Pregunta de la persona'}: {intent}",
        relevant_data=data,
    )


def as_passages(found: tuple[Excerpt, ...]) -> tuple[Json, ...]:
    """As the session protocol shows them."""
    return tuple(
        {
            "id": each.id,
            "source": each.source,
            "title": each.title,
            "text": each.text,
            "score": each.score,
        }
        for each in found
    )
