"""Asking the model and the documents for one session: searches, rounds, money, outages."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import structlog

from brain.analysis import Analysis, AnalysisRequest, BrainFailure, BrainUsage, Excerpt
from brain.facts import Library
from brain.folio import Json
from brain.host import BrainHost, BrainProfile
from brain.journal import Journal
from brain.service import OUR_MISTAKE, BrainService
from brain.spans import BrainSpans
from penny.metering.usage import price_messages, total_usd


log = structlog.get_logger()


class Thinking:
    """One per session; each analysis is journalled, metered and traced here."""

    def __init__(
        self,
        service: BrainService,
        profile: BrainProfile,
        journal: Journal,
        host: BrainHost,
        spans: BrainSpans,
    ) -> None:
        self._service = service
        self._profile = profile
        self._journal = journal
        self._host = host
        self._spans = spans
        self._library = Library(service.base, profile.ref, profile.language)
        self._usd = 0.0
        self._out_of_order = ""
        self._warned = False
        models, model = service.models, profile.model
        if models.price_of(model) is not None and not models.has_price(model):
            self._warn(f"'{model}' has no price; the highest of its family is counted")

    # -- documents ----------------------------------------------------------------------------

    async def search(self, text: str, by: str, item_id: str = "") -> tuple[Excerpt, ...]:
        """What the brain reads, which judges for itself.

        Args:
            by: whose words they are: the caller's ("words"), a "review" or the "brain".
        """
        limit = self._profile.depth.passages
        with self._spans.search(by, item_id) as note:
            found = await self._library.search_likely(text, limit)
            note(found)
        self._record(text, by, found)
        return found

    async def search_sure(self, text: str, by: str, item_id: str = "") -> tuple[Excerpt, ...]:
        """What is shown without anybody judging it, for the "speaker", or the "kb" alone."""
        with self._spans.search(by, item_id) as note:
            found = await self._library.search_sure(text, self._profile.depth.passages)
            note(found)
        self._record(text, by, found)
        return found

    def search_now(self, text: str, item_id: str) -> tuple[Excerpt, ...]:
        """The same by words alone and at once, because an answer waits for it."""
        started_s = self._service.clock()
        with self._spans.search("facts", item_id) as note:
            found = self._library.search_now(text, self._service.settings.facts_passages)
            note(found)
        self._record(text, "facts", found, took_ms=(self._service.clock() - started_s) * 1000)
        return found

    def _record(
        self, text: str, by: str, found: tuple[Excerpt, ...], took_ms: float | None = None
    ) -> None:
        taken = {} if took_ms is None else {"took_ms": round(took_ms, 1)}
        self._journal.write("search", query=text, by=by, found=[p.id for p in found], **taken)

    # -- the model ----------------------------------------------------------------------------

    async def ask(self, request: AnalysisRequest) -> tuple[AnalysisRequest, Analysis, float] | None:
        """Ask, search for what the model wants to know, ask again.

        Returns the request as it was asked last, what came of it and its USD; None after a
        failure, which is noted.
        """
        depth, spent = self._profile.depth, [0.0]
        rounds_left = depth.searches
        try:
            while True:
                analysis = await self._ask_once(request, spent)
                if not analysis.queries or not rounds_left:
                    self._recovered()
                    return request, analysis, sum(spent)
                rounds_left -= 1
                known = {passage.id: passage for passage in request.passages}
                for query in analysis.queries:
                    for passage in await self.search(query, "brain", request.item_id):
                        known.setdefault(passage.id, passage)
                request = replace(request, passages=tuple(known.values()))
        except BrainFailure as failure:
            self._note_failure(failure, request)
            return None

    async def _ask_once(self, request: AnalysisRequest, spent: list[float]) -> Analysis:
        if self._usd >= self._service.settings.budget_usd:
            raise BrainFailure("the session's brain budget is spent", code="budget")
        model, depth = self._profile.model, self._profile.depth
        ask = partial(self._service.ask, bill=lambda usage: spent.append(self._charge(usage)))
        analysis = await self._spans.ask(ask, request, model, depth)
        update = analysis.update
        self._journal.write(
            "analysis",
            request=request.as_json(),
            model=model,
            update=None if update is None else update.model_dump(mode="json"),
            corrections=[each.model_dump(mode="json") for each in analysis.corrections],
            queries=analysis.queries,
            usage=analysis.usage.as_json(),
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
        self._journal.write("analysis_failed", request=request.as_json(), code=failure.code)
        if failure.code != "no_brain" and not self._out_of_order:
            log.warning("brain_degraded", code=failure.code, reason=failure.message)
        self._out_of_order = failure.code
        if failure.code in OUR_MISTAKE and not self._warned:
            self._warned = True
            self._warn(f"the brain's requests are refused ({failure.message})")

    def _recovered(self) -> None:
        if self._out_of_order:
            log.info("brain_recovered", after=self._out_of_order)
            self._out_of_order = ""

    def _warn(self, message: str) -> None:
        self._host.tell({"type": "penny.warning", "code": "degraded", "message": message})
