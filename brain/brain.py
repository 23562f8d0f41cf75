"""The brain of one session: observe, look up, write a folio; look back, correct.

It never stands in the way: everything here runs in tasks of its own, each analysis has a
deadline, a newer one cancels an older one, and whatever fails leaves the speaker undisturbed.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from brain.analysis import Analysis, AnalysisRequest, BrainFailure, BrainUsage, Excerpt
from brain.author import FolioAuthor
from brain.claude import BilledFailure
from brain.correction import has_claim
from brain.facts import MIN_SCORE_TO_READ, Library, update_from_facts
from brain.folio import ContextUpdate, CorrectionNote
from brain.host import BrainHost, BrainProfile
from brain.journal import Journal
from brain.schedule import Schedule
from brain.service import BrainService
from brain.spans import BrainSpans
from penny.aio.tasks import TaskOwner
from penny.metering.usage import price_messages, total_usd


log = structlog.get_logger()

Json = dict[str, Any]

_READS = frozenset(("words", "review", "brain"))


class SessionBrain:
    """Args: host: where folios go."""

    def __init__(
        self,
        service: BrainService,
        profile: BrainProfile,
        journal: Journal,
        host: BrainHost,
        spans: BrainSpans | None = None,
    ) -> None:
        self._service = service
        self._settings = service.settings
        self._profile = profile
        self._journal = journal
        self._host = host
        self._spans = spans or BrainSpans(None)
        self._schedule = Schedule(profile.schedule)
        self._library = Library(service.base, profile.ref, profile.language)
        self.author = FolioAuthor(service, profile, journal, host)
        self._tasks = TaskOwner("brain")
        self._run: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._usd = 0.0
        self._newest: tuple[str, str, int] | None = None
        self._out_of_order = ""

    # -- what it observes ---------------------------------------------------------------------

    def partial(self, item_id: str, text: str, turn: int) -> None:
        """Words so far of a turn that is still spoken."""
        due_s = self._schedule.partial(item_id, text, self._service.clock())
        if due_s is None:
            return
        self._cancel_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(due_s, self._launch, item_id, text, turn, True, None)

    def final(self, item_id: str, text: str, turn: int, ended_s: float) -> None:
        """A turn's words are known."""
        self._cancel_timer()
        self._newest = (item_id, text, turn)
        if self._schedule.final(item_id, text, turn):
            self._launch(item_id, text, turn, False, ended_s)

    def replied(self, item_id: str, text: str, turn: int, words: str) -> None:
        """The speaker has answered: look whether it was right."""
        if has_claim(text, self._profile.language) and self._schedule.review(turn):
            heard_id = self._newest[0] if self._newest is not None else ""
            review = partial(self._review, item_id, text, turn, words)
            work = self._spans.reading("review", heard_id, review)
            self._tasks.spawn(work, name="brain review")

    def find_facts(self, words: str, item_id: str) -> tuple[Excerpt, ...]:
        """Search the knowledge base with the caller's words, at once: an answer waits for it."""
        started_s = self._service.clock()
        with self._spans.search("facts", item_id) as note:
            found = self._library.search_now(words, self._settings.facts_passages)
            note(found)
        took_ms = round((self._service.clock() - started_s) * 1000, 1)
        self._journal.write(
            "search", query=words, by="facts", found=[p.id for p in found], took_ms=took_ms
        )
        return found

    async def look_up(self, query: str) -> tuple[Excerpt, ...]:
        """The speaker's own ``search_knowledge``; with ``on_demand`` it is the demand."""
        if self._profile.schedule.frequency == "on_demand" and self._newest is not None:
            self._launch(*self._newest, False, self._service.clock())
        return await self._search(query, "speaker")

    async def aclose(self) -> None:
        self._cancel_timer()
        await self._tasks.aclose()

    # -- analysing ----------------------------------------------------------------------------

    def _launch(
        self, item_id: str, text: str, turn: int, is_partial: bool, ended_s: float | None
    ) -> None:
        """Begin an analysis; the one before it is superseded, its late result goes nowhere."""
        self._timer = None
        if self._run is not None and not self._run.done():
            self._run.cancel()
            self._journal.write("analysis_superseded", by_turn=turn)
        self._schedule.launched(item_id, text)
        analyse = partial(self._analyse, item_id, text, turn, is_partial, ended_s)
        analysing = self._spans.reading("turn", item_id, analyse)
        self._run = self._tasks.spawn(analysing, name="brain analysis")

    def _request(
        self, purpose: Any, item_id: str, words: str, turn: int, **more: Any
    ) -> AnalysisRequest:
        return AnalysisRequest(
            purpose=purpose,
            turn=turn,
            item_id=item_id,
            words=words,
            language=self._profile.language,
            now=self._service.timestamp(),
            history=self._host.history(),
            in_force=self._host.in_force(),
            session=self._profile.session,
            **more,
        )

    async def _analyse(
        self, item_id: str, words: str, turn: int, is_partial: bool, ended_s: float | None
    ) -> None:
        await self._host.answered()  # nothing here may slow the answer to the same turn
        found = await self._search(words, "words")
        request = self._request("turn", item_id, words, turn, partial=is_partial, passages=found)
        try:
            request, analysis, usd = await self._think(request)
        except BrainFailure as failure:
            self._note_failure(failure, request)
            sure = await self._search(request.words, "kb")  # nobody judges what is only likely
            update = update_from_facts(
                request.words, sure, self._service.timestamp(), request.language
            )
            if update is not None:
                self._service.counts.kb_only += 1
                self.author.offer_update(update, request, "kb", 0.0, ended_s)
            return
        self._recovered()
        if analysis.update is not None:
            self.author.offer_update(analysis.update, request, "claude", usd, ended_s)
        if analysis.correction is not None:
            # A slip of an earlier reply that only the caller's words brought to light.
            last = request.history[-1] if request.history else None
            if last is not None:
                self.author.correct(analysis.correction, last.penny, request, usd)

    async def _review(self, item_id: str, text: str, turn: int, words: str) -> None:
        known = {each.id: each for each in await self._search(words, "review")}
        for each in await self._search(text, "review"):
            known.setdefault(each.id, each)
        found = tuple(known.values())
        if not found:
            return  # nothing to hold it against
        request = self._request("review", item_id, words, turn, reply=text, passages=found)
        try:
            request, analysis, usd = await self._think(request)
        except BrainFailure as failure:
            self._note_failure(failure, request)
            return
        self._recovered()
        if analysis.correction is not None:
            heard = await self._host.heard(item_id)
            self.author.correct(analysis.correction, heard, request, usd)
        if analysis.update is not None:
            self.author.offer_update(analysis.update, request, "claude", usd, None)

    async def _think(self, request: AnalysisRequest) -> tuple[AnalysisRequest, Analysis, float]:
        """Ask, search for what it wants to know, ask again; raises BrainFailure."""
        depth, model = self._profile.depth, self._profile.model
        usd, round_left = 0.0, depth.searches
        while True:
            if self._usd >= self._settings.budget_usd:
                raise BrainFailure("the session's brain budget is spent", code="budget")
            try:
                analysis = await self._spans.ask(self._service.ask, request, model, depth)
            except BilledFailure as failure:
                self._charge(failure.usage)
                raise
            usd += self._charge(analysis.usage)
            self._journal.write(
                "analysis",
                request=request.as_json(),
                model=model,
                update=_plain(analysis.update),
                correction=_plain(analysis.correction),
                queries=analysis.queries,
                usage=analysis.usage.as_json(),
                usd=round(usd, 6),
                took_ms=analysis.took_ms,
            )
            if not analysis.queries or not round_left:
                return request, analysis, usd
            round_left -= 1
            known = {passage.id: passage for passage in request.passages}
            for query in analysis.queries:
                for passage in await self._search(query, "brain"):
                    known.setdefault(passage.id, passage)
            request = replace(request, passages=tuple(known.values()))

    async def _search(self, text: str, by: str) -> tuple[Excerpt, ...]:
        """``by`` the caller's "words", a "review" or the "brain" itself, all of which the brain
        reads; by the "speaker", or for the "kb" to answer alone: only what is sure."""
        min_score = MIN_SCORE_TO_READ if by in _READS else None
        with self._spans.search(by, self._newest[0] if self._newest is not None else "") as note:
            found = await self._library.search(
                text, self._profile.depth.passages, min_score=min_score
            )
            note(found)
        self._journal.write("search", query=text, by=by, found=[p.id for p in found])
        return found

    # -- keeping count ------------------------------------------------------------------------

    def _charge(self, usage: BrainUsage) -> float:
        plain = usage.as_json()
        usd = total_usd(price_messages(plain, usage.model, self._service.models.prices))
        self._usd += usd
        self._host.tell({"type": "penny.usage", "component": "cerebro", "usage": plain})
        return usd

    def _note_failure(self, failure: BrainFailure, request: AnalysisRequest) -> None:
        """Log an outage once, not once per turn; the counts have every failure."""
        self._journal.write("analysis_failed", request=request.as_json(), code=failure.code)
        if failure.code != "no_brain" and not self._out_of_order:
            log.warning("brain_degraded", code=failure.code, reason=failure.message)
        self._out_of_order = failure.code

    def _recovered(self) -> None:
        if self._out_of_order:
            log.info("brain_recovered", after=self._out_of_order)
            self._out_of_order = ""

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _plain(model: ContextUpdate | CorrectionNote | None) -> Json | None:
    return None if model is None else model.model_dump(mode="json")
