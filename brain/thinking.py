"""Asking the model and the documents for one session: searches, rounds, money, outages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from brain.analysis import Analysis, AnalysisRequest, BrainFailure, BrainUsage, Excerpt
from brain.facts import Library
from brain.folio import Json
from brain.host import BrainHost, BrainProfile
from brain.service import OUR_MISTAKE, BrainService
from penny.metering.usage import price_messages, total_usd
from penny.tracing.attributes import Attributes
from penny.tracing.current import span


log = structlog.get_logger()


class Thinking:
    """One per session; each search and analysis is noted, metered and traced here."""

    def __init__(self, service: BrainService, profile: BrainProfile, host: BrainHost) -> None:
        self._service = service
        self._profile = profile
        self._host = host
        self._library = Library(service.base, profile.ref, profile.language)
        self._usd = 0.0
        self._out_of_order = ""
        self._warned = False
        models, model = service.models, profile.model
        if models.price_of(model) is not None and not models.has_price(model):
            self._warn(f"'{model}' has no price; the highest of its family is counted")

    # -- documents ----------------------------------------------------------------------------

    async def search(
        self, text: str, by: str, item_id: str = "", *, sure: bool = False
    ) -> tuple[Excerpt, ...]:
        """Look in a thread; best first.

        Args:
            by: whose words they are: the caller's ("words"), a "review", the "brain", the
                "speaker"; "kb" where the documents alone answer.
            sure: for a reader that takes it for true; else for one that judges.
        """
        with self._search(text, by, item_id) as found:
            passages = self._profile.depth.passages
            found += await asyncio.to_thread(self._library.search, text, passages, sure=sure)
        return tuple(found)

    def search_now(self, text: str, item_id: str) -> tuple[Excerpt, ...]:
        """What is sure by words alone, here and now, because an answer waits for it: a millisecond,
        where a thread's turn may take ten and an embedder many more."""
        with self._search(text, "facts", item_id) as found:
            passages = self._profile.settings.facts_passages
            found += self._library.search(text, passages, sure=True, vectors=False)
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

    # -- the model ----------------------------------------------------------------------------

    async def ask(self, request: AnalysisRequest) -> tuple[AnalysisRequest, Analysis, float] | None:
        """Ask, search for what the model wants to know, ask again.

        Returns the request as it was asked last, what came of it and its USD; None after a
        failure, which is noted.
        """
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
