"""Asking the documents and the model for one session: passages, rounds, money, outages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import structlog

from brain.analysis import (
    Analysis,
    AnalysisRequest,
    BrainFailure,
    BrainHost,
    BrainProfile,
    BrainUsage,
    Excerpt,
)
from brain.folio import Folio, Json
from brain.service import OUR_MISTAKE, BrainService
from kb import KnowledgeBase, Passage, UnknownCollection
from penny.localized import language_of
from penny.metering.usage import price_messages, total_usd
from penny.tracing.attributes import Attributes
from penny.tracing.current import span


log = structlog.get_logger()

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
        self._base, self._ref, self._language = base, ref, language_of(language)

    def search(
        self, text: str, limit: int, *, sure: bool, vectors: bool = True
    ) -> tuple[Excerpt, ...]:
        """Passages, best first, as many as fit. ``sure``: for a reader that takes it for true, else
        for one that judges; ``vectors``: ask the embedder too, and read neighbours along."""
        if self._base is None or not text.strip():
            return ()
        try:
            how: Json = {"limit": limit, "language": self._language}
            how["min_score"] = None if sure else MIN_SCORE_TO_READ
            result = self._base.search(self._ref, text, vectors=vectors, keep=vectors, **how)
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

    def outdated(self, folios: Iterable[Folio]) -> list[str]:
        """Ids of folios with a passage that the documents have no more, or have otherwise now."""
        if self._base is None:
            return []
        holds = partial(self._base.holds, self._ref)
        return [f.id for f in folios if not all(holds(p["id"], p["text"]) for p in f.passages)]

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


def as_passages(found: tuple[Excerpt, ...]) -> tuple[Json, ...]:
    """As the session protocol shows them."""
    shown = ("id", "source", "title", "text", "score")
    return tuple({name: getattr(each, name) for name in shown} for each in found)


class Thinking:
    """One per session; each search and analysis is noted, metered and traced here."""

    def __init__(self, service: BrainService, profile: BrainProfile, host: BrainHost) -> None:
        self._service, self._profile, self._host = service, profile, host
        self.library = Library(service.base, profile.ref, profile.language)
        self._usd = 0.0
        self._out_of_order = ""
        self._warned = False
        models, model = service.models, profile.model
        if models.price_of(model) is not None and not models.has_price(model):
            self._warn(f"'{model}' has no price; the highest of its family is counted")

    async def search(
        self, text: str, by: str, item_id: str = "", *, sure: bool = False
    ) -> tuple[Excerpt, ...]:
        """Look in a thread; best first. ``by``: whose words they are: the caller's ("words"), a
        "review", the "brain", the "speaker"; "kb" where the documents alone answer."""
        with self._search(text, by, item_id) as found:
            passages = self._profile.depth.passages
            found += await asyncio.to_thread(self.library.search, text, passages, sure=sure)
        return tuple(found)

    def search_now(self, text: str, item_id: str) -> tuple[Excerpt, ...]:
        """What is sure by words alone, here and now, because an answer waits for it: a millisecond,
        where a thread's turn may take ten and an embedder many more."""
        with self._search(text, "facts", item_id) as found:
            passages = self._profile.settings.facts_passages
            found += self.library.search(text, passages, sure=True, vectors=False)
        return tuple(found)

    @contextmanager
    def _search(self, text: str, by: str, item_id: str) -> Iterator[list[Excerpt]]:
        """Trace and record a search, whose finds are put into the list."""
        found: list[Excerpt] = []
        about: Attributes = {"penny.search.by": by}
        with span(self._profile.trace, "search", item_id=item_id, attributes=about) as searching:
            yield found
            if searching is not None:
                searching.set({"penny.passages": len(found)})
        ids = [passage.id for passage in found]
        self._host.note("search", item_id=item_id, query=text, by=by, found=ids)

    async def ask(self, request: AnalysisRequest) -> tuple[AnalysisRequest, Analysis, float] | None:
        """Ask, search for what the model wants to know, ask again. Returns the request as it was
        asked last, what came of it and its USD; None after a failure, which is noted."""
        spent: list[float] = []
        rounds_left = self._profile.depth.searches
        try:
            while True:
                analysis = await self._ask_once(request, spent)
                if not analysis.queries or not rounds_left:
                    break
                rounds_left -= 1
                known = {passage.id: passage for passage in request.passages}
                for query in analysis.queries:
                    for passage in await self.search(query, "brain", request.item_id):
                        known.setdefault(passage.id, passage)
                request = replace(request, passages=tuple(known.values()))
        except BrainFailure as failure:
            self._note_failure(failure, request)
            return None
        if self._out_of_order:
            log.info("brain_recovered", after=self._out_of_order)
            self._out_of_order = ""
        return request, analysis, sum(spent)

    async def _ask_once(self, request: AnalysisRequest, spent: list[float]) -> Analysis:
        if self._usd >= self._profile.settings.budget_usd:
            raise BrainFailure("the session's brain budget is spent", code="budget")
        model, depth = self._profile.model, self._profile.depth
        about: Attributes = {  # as OpenTelemetry names calls to models
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": model,
            "gen_ai.output.type": "json",
        }

        def bill(usage: BrainUsage) -> None:
            spent.append(self._charge(usage))

        name, item_id, trace = f"chat {model}", request.item_id, self._profile.trace
        with span(trace, name, item_id=item_id, kind="client", attributes=about) as asking:
            analysis = await self._service.ask(request, model, depth, bill)
            usage = analysis.usage
            if asking is not None:
                asking.set(
                    {
                        "gen_ai.usage.input_tokens": usage.input_tokens,
                        "gen_ai.usage.output_tokens": usage.output_tokens,
                        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                    }
                )
        update = analysis.update
        self._host.note(
            "analysis",
            item_id=item_id,
            purpose=request.purpose,
            passages=[each.id for each in request.passages],
            model=model,
            update=None if update is None else update.model_dump(mode="json"),
            corrections=[each.model_dump(mode="json") for each in analysis.corrections],
            queries=analysis.queries,
            usage=usage.as_json(),
            usd=round(sum(spent), 6),
            took_ms=analysis.took_ms,
        )
        return analysis

    def _charge(self, usage: BrainUsage) -> float:
        plain: Json = usage.as_json()
        usd = total_usd(price_messages(plain, usage.model, self._service.models.prices))
        self._usd += usd
        if any(count for count in plain.values() if isinstance(count, int)):
            self._host.tell({"type": "penny.usage", "component": "cerebro", "usage": plain})
        return usd

    def _note_failure(self, failure: BrainFailure, request: AnalysisRequest) -> None:
        """Log an outage once, not once per turn; the counts have every failure. A request that is
        refused, or made without credentials, is told to the session too."""
        about = {"purpose": request.purpose, "code": failure.code}
        self._host.note("analysis_failed", item_id=request.item_id, **about)
        if failure.code != "no_brain" and not self._out_of_order:
            log.warning("brain_degraded", code=failure.code, reason=failure.message)
        self._out_of_order = failure.code
        if failure.code in OUR_MISTAKE and not self._warned:
            self._warned = True
            self._warn(f"the brain's requests are refused ({failure.message})")

    def _warn(self, message: str) -> None:
        self._host.tell({"type": "penny.warning", "code": "degraded", "message": message})
