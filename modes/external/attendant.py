"""Answers turns: facts first, within their budget, then the request for a response."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from modes.external.speaker import Json
from penny.aio.tasks import TaskOwner


if TYPE_CHECKING:
    from modes.external.call import ExternalCall


log = structlog.get_logger()


class Attendant:
    """One per call.

    Args:
        facts_budget_s: most time between the end of a turn and its ``response.create``; 0 gives
            no same-turn facts and leaves the answering to the provider.
    """

    def __init__(self, call: ExternalCall, facts_budget_s: float) -> None:
        self._call = call
        self._budget_s = facts_budget_s
        self._tasks = TaskOwner("attendant")
        self._words: dict[str, asyncio.Event] = {}
        self._typed: tuple[str, str] | None = None
        self._owes = False
        self._busy = 0
        self._free = asyncio.Event()
        self._free.set()
        self._unanswered = ""

    @property
    def is_busy(self) -> bool:
        return self._busy > 0

    async def answered(self) -> None:
        """Wait until every turn that ended has its ``response.create``."""
        await self._free.wait()

    def _set_busy(self, change: int) -> None:
        self._busy += change
        if self._busy:
            self._free.clear()
        else:
            self._free.set()

    # -- spoken turns -------------------------------------------------------------------------

    def turn_ended(self, item_id: str, turn: int) -> None:
        """A spoken turn was committed: answer it."""
        self._unanswered = item_id
        self._set_busy(+1)
        self._tasks.spawn(self._answer(item_id, turn), name="answer")

    def words_known(self, item_id: str) -> None:
        """The final transcript is there, or there will be none."""
        waiting = self._words.get(item_id)
        if waiting is not None:
            waiting.set()

    async def _answer(self, item_id: str, turn: int) -> None:
        call = self._call
        try:
            await self._ground(item_id, turn, None)
            if not call.is_speaking():  # else that turn will be answered, and this one with it
                await call.ask_response()
        finally:
            self._set_busy(-1)

    async def _ground(self, item_id: str, turn: int, words: str | None) -> None:
        """Put the best passages for the turn into the speaker's context, if there is time."""
        call = self._call
        if call.brain is None or not self._budget_s:
            return
        started_s = call.clock()
        found = 0
        try:
            async with asyncio.timeout(self._budget_s):
                text = words if words is not None else await self._wait_for_words(item_id)
                passages = call.brain.find_facts(text, item_id)
                if passages:
                    found = len(passages)
                    folio = call.brain.author.facts_folio(passages, item_id, turn)
                    folio.turn_ended_s = started_s
                    await call.injector.place_now(folio)
            outcome = "placed" if found else "nothing_found"
        except TimeoutError:
            outcome = "too_late"
        except Exception:
            # Whatever is wrong with the facts, the caller gets an answer.
            log.exception("facts_failed")
            outcome = "failed"
        waited_ms = round((call.clock() - started_s) * 1000, 1)
        call.journal.write("facts", turn=turn, outcome=outcome, passages=found, waited_ms=waited_ms)

    async def _wait_for_words(self, item_id: str) -> str:
        """The final words; or, just before the budget ends, those known so far."""
        item = self._call.mirror.get(item_id)
        if item is None or item.is_final:
            return item.words if item is not None else ""
        known = self._words[item_id] = asyncio.Event()
        try:
            # What is left of the budget after this is the search's and the placement's.
            async with asyncio.timeout(self._budget_s * 0.7):
                await known.wait()
        except TimeoutError:
            pass
        finally:
            del self._words[item_id]
        return item.words

    # -- typed turns and requests of the caller's side ----------------------------------------

    def typed(self, item: Json) -> None:
        """The caller's side adds an item; a user's text is a turn."""
        texts = [part.get("text") or "" for part in item.get("content") or () if part]
        if item.get("role") == "user" and item.get("id") and any(texts):
            self._typed = (item["id"], " ".join(texts))

    async def response_wanted(self, event: Json) -> None:
        """The caller's side asks for a response."""
        params = event.get("response")
        typed, self._typed = self._typed, None
        if (params or {}).get("conversation") == "none":
            await self._call.send_up(event)  # runs beside all others
        elif typed is not None and self._budget_s > 0 and self._call.brain is not None:
            self._tasks.spawn(self._answer_typed(*typed, event), name="answer typed")
        else:
            await self._call.ask_response(params, event.get("event_id"))

    async def _answer_typed(self, item_id: str, words: str, event: Json) -> None:
        self._set_busy(+1)
        try:
            # Its item is on its way up; its turn is the next one unless it has come back already.
            known = self._call.mirror.get(item_id)
            turn = known.turn if known is not None else self._call.mirror.turn + 1
            await self._ground(item_id, turn, words)
            await self._call.ask_response(event.get("response"), event.get("event_id"))
        finally:
            self._set_busy(-1)

    def ask_later(self, delay_s: float) -> None:
        self._tasks.spawn(self._ask_after(delay_s), name="answer again")

    async def _ask_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if self._call.is_safe() and not self._call.is_speaking():
            await self._call.ask_response()

    # -- a replaced upstream ------------------------------------------------------------------

    def owe_answer(self) -> None:
        """A response was lost with its upstream."""
        self._owes = True

    def unheard_from_ms(self) -> float | None:
        """Where the audio of a committed turn begins whose words nobody knows yet."""
        item = self._call.mirror.get(self.unheard_item())
        return None if item is None else item.from_ms

    def unheard_item(self) -> str:
        """That turn's item; empty when there is none."""
        item = self._call.mirror.get(self._unanswered)
        return "" if item is None or item.is_final or not item.until_ms else item.id

    async def settle_debt(self) -> None:
        """Have the new upstream answer what the old one did not.

        A turn without words is not in the seed: its audio was replayed, and the new upstream
        finds its end by itself.
        """
        if self._owes and self.unheard_from_ms() is None:
            await self._call.ask_response()
        self._owes = False

    async def aclose(self) -> None:
        await self._tasks.aclose()
