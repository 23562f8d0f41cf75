"""The brain of one session: observe, look up, write a folio; look back, correct.

Everything here runs in tasks of its own, each analysis has a deadline, and whatever fails leaves
the speaker undisturbed. What was begun for a turn ends; its folio is used if it is the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

from brain.analysis import AnalysisRequest, BrainHost, BrainProfile, Excerpt, Purpose, Reply
from brain.author import FolioAuthor
from brain.claims import is_backchannel
from brain.folio import Folio, Json
from brain.render import quote_json
from brain.service import BrainService
from brain.texts import texts_of
from brain.thinking import Thinking
from config.brain import BrainSection
from penny.aio.tasks import TaskOwner
from penny.localized import language_of
from penny.tracing.current import span


MAX_RUNNING = 3
"""Analyses of turns at once; of more, the oldest is given up. A caller cannot bring it to that in
plain talk: it takes four turns within one analysis."""
DAYS = {
    "es": ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}


class SessionBrain:
    """One session's brain. Everything it does to the call goes through ``host``."""

    def __init__(self, service: BrainService, profile: BrainProfile, host: BrainHost) -> None:
        self._service, self._profile, self._host = service, profile, host
        self._schedule = Schedule(profile.settings)
        self._thinking = Thinking(service, profile, host)
        self._author = FolioAuthor(service, profile, host)
        self.outcome = self._author.take
        self._tasks = TaskOwner("brain")
        self._running: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._newest: tuple[str, str, int] = ("", "", 0)
        self._ended_s: dict[int, float] = {}
        self._closed = False

    def partial(self, item_id: str, text: str, turn: int) -> None:
        """Words so far of a turn that is still spoken."""
        self._let_go()
        due_s = self._schedule.partial(text, turn, self._service.clock())
        if due_s is not None:
            self._cancel_timer()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(due_s, self._begin_early, item_id, text, turn)

    def _begin_early(self, item_id: str, text: str, turn: int) -> None:
        self._timer = None
        self._schedule.began_early(text, turn)
        self._begin(item_id, text, turn, is_partial=True)

    def final(self, item_id: str, text: str, turn: int, ended_s: float) -> None:
        """A turn's words are known. ``ended_s``: when it ended, on the loop's clock."""
        self._let_go()
        self._cancel_timer()
        self._ended_s[turn] = ended_s
        if turn >= self._newest[2]:
            self._newest = (item_id, text, turn)
            self._author.newest_turn = turn
        history = self._host.history()
        if self._schedule.final(text, turn, history[-1].penny if history else ""):
            self._begin(item_id, text, turn, is_partial=False)

    def _let_go(self) -> None:
        """No answer is given with what the documents have changed since it was written."""
        standing = [*self._host.in_force("folio"), *self._host.in_force("correction")]
        for folio_id in self._thinking.library.outdated(standing):
            self._host.withdraw(folio_id, "outdated")

    def replied(self, reply: Reply) -> None:
        """The speaker has answered: look whether it was right, and whether it said what it was to
        put right."""
        self._author.reply_items[reply.turn] = reply.item_id
        self._spawn("review", self._newest[0], partial(self._look_back, reply))

    def find_facts(self, words: str, item_id: str, turn: int, ended_s: float) -> Folio | None:
        """Search with the caller's words, at once, because an answer waits for it."""
        found = self._thinking.search_now(words, item_id)
        return self._author.facts_folio(found, item_id, turn, ended_s) if found else None

    async def look_up(self, query: str) -> Json:
        """The result of the speaker's ``search_knowledge``: what is sure, cleaned, with sources.
        With ``on_demand`` it is the demand for an analysis too."""
        if self._profile.settings.update_frequency == "on_demand" and self._newest[0]:
            self._begin(*self._newest, is_partial=False)
        found = await self._thinking.search(query, "speaker", self._newest[0], sure=True)
        texts = texts_of(self._profile.language)
        if not found:
            return {"status": "nothing_found", "message": texts["nothing"]}
        shown = [{"source": p.source, "title": p.title, "text": p.text} for p in found]
        return {"status": "ok", "note": texts["quoted"], "passages": quote_json(shown)}

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._cancel_timer()
        await self._tasks.aclose()
        self._service.counts.effectiveness.add(self._author.effectiveness)

    def _begin(self, item_id: str, text: str, turn: int, *, is_partial: bool) -> None:
        self._running = [task for task in self._running if not task.done()]
        if len(self._running) >= MAX_RUNNING:
            self._running.pop(0).cancel()
        work = partial(self._analyse, item_id, text, turn, is_partial)
        self._running.append(self._spawn("turn", item_id, work))

    def _spawn(
        self, purpose: Purpose, item_id: str, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None]:
        async def run() -> None:
            trace = self._profile.trace
            with span(trace, "brain", item_id=item_id, attributes={"penny.brain.purpose": purpose}):
                await work()

        return self._tasks.spawn(run(), name=f"brain {purpose}")

    def _request(self, purpose: Purpose, item_id: str, words: str, turn: int) -> AnalysisRequest:
        profile, desk = self._profile, self._author.corrections
        zone = profile.settings.timezone
        now = self._service.now().astimezone(ZoneInfo(zone))
        standing = self._host.in_force("folio")
        return AnalysisRequest(
            purpose=purpose,
            turn=turn,
            item_id=item_id,
            words=words,
            language=profile.language,
            now=now.isoformat(timespec="seconds"),
            weekday=DAYS[language_of(profile.language)][now.weekday()],
            zone=zone,
            prompt=self._host.prompt(),
            history=self._host.history(),
            actions=self._host.actions(),
            in_force=standing[-1].body if standing else None,
            open_corrections=desk.bodies("open"),
            made_corrections=desk.bodies("confirmed"),
            session=profile.session,
        )

    async def _analyse(self, item_id: str, words: str, turn: int, is_partial: bool) -> None:
        await self._host.answered()  # nothing here may slow the answer to the same turn
        found = await self._thinking.search(words, "words", item_id)
        request = self._request("turn", item_id, words, turn)
        request = replace(request, partial=is_partial, passages=found)
        asked = await self._thinking.ask(request)
        ended_s = self._ended_s.get(turn)
        if asked is None:
            sure = await self._thinking.search(words, "kb", item_id, sure=True)
            self._author.offer_passages(replace(request, passages=sure), ended_s)
            return
        request, analysis, usd = asked
        if analysis.update is not None:
            self._author.offer_update(analysis.update, request, usd, ended_s)
        last = request.history[-1] if request.history else None
        if last is not None:
            # Slips of an earlier reply that only the caller's words brought to light.
            at_fault = self._author.reply_items.get(last.turn, "")
            for note in analysis.corrections:
                self._author.correct(note, last.penny, last.turn, at_fault, request)

    async def _look_back(self, reply: Reply) -> None:
        """Hold what was heard of a reply against its corrections, and against what is known."""
        text = await self._heard(reply)
        self._author.check_corrections(reply, text)
        has_claim = self._author.claims.has_claim(text, reply.words)
        if not has_claim or not self._schedule.is_due(reply.turn):
            return
        known: dict[str, Excerpt] = {}
        for query in (text, reply.words):
            for each in await self._thinking.search(query, "review", self._newest[0]):
                known.setdefault(each.id, each)
        request = self._request("review", reply.item_id, reply.words, reply.turn)
        if not known and not request.actions:
            return  # nothing to hold it against
        request = replace(request, reply=text, passages=tuple(known.values()))
        asked = await self._thinking.ask(request)
        if asked is None:
            return
        request, analysis, usd = asked
        heard = await self._heard(reply)  # a cut may have been told meanwhile
        for note in analysis.corrections:
            self._author.correct(note, heard, reply.turn, reply.item_id, request)
        if analysis.update is not None and reply.turn >= self._newest[2]:
            self._author.offer_update(analysis.update, request, usd, None)

    async def _heard(self, reply: Reply) -> str:
        words = [await self._host.heard(each) for each in (*reply.earlier, reply.item_id)]
        return " ".join(each for each in words if each)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


FEW_WORDS = 2
"""Final words beyond those analysed early that change nothing worth another analysis."""


class Schedule:
    """Decides, transcript by transcript. ``settings``: the session's own."""

    def __init__(self, settings: BrainSection) -> None:
        self._settings, self._newest = settings, 0
        self._early: dict[int, list[str]] = {}

    def partial(self, text: str, turn: int, now_s: float) -> float | None:
        """When to analyse what has been said so far, unless more words come; None for not at all.
        Once a turn at most."""
        settings = self._settings
        if settings.update_frequency != "every_turn" or turn in self._early or turn <= self._newest:
            return None
        enough = len(_words(text)) >= settings.partial_words
        return now_s + settings.partial_debounce_ms / 1000 if enough else None

    def began_early(self, text: str, turn: int) -> None:
        """An analysis of these words so far was begun."""
        self._early = {turn: _words(text)}

    def final(self, text: str, turn: int, last_reply: str) -> bool:
        """Whether to analyse now that the turn's words are final; True at most once per turn.

        Not for a backchannel, unless it answers a question; not when the analysis that was begun
        early has all but the last few words; not when a later turn was analysed already.
        """
        if not text.strip() or not self.is_due(turn) or turn <= self._newest:
            return False
        if is_backchannel(text) and not last_reply.rstrip().endswith("?"):
            return False
        self._newest = turn
        words, early = _words(text), self._early.get(turn, [])
        return not (early and words[: len(early)] == early and len(words) - len(early) <= FEW_WORDS)

    def is_due(self, turn: int) -> bool:
        """Whether this turn is one to analyse, and its reply one to look at for mistakes."""
        frequency = self._settings.update_frequency
        if frequency == "every_n_turns":
            return (turn - 1) % self._settings.every_n == 0
        return frequency == "every_turn"


def _words(text: str) -> list[str]:
    return [word.strip(".,;:¿?¡!…").lower() for word in text.split()]
