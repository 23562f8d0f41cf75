"""Runs a :class:`Company` on the loop's clock until somebody is there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from modes.self_hosted.waiting.company import Company
from penny.ids import new_id


Json = dict[str, Any]

LEAST_REST_S = 0.02
MAX_TOLD = 256
"""Answers and progress not read yet; the oldest go: whoever does not read has lost the thread."""


class Attendance:
    """What a session hears while ``company`` is all it has."""

    def __init__(self, company: Company, clock: Callable[[], float]) -> None:
        self.company = company
        self._clock = clock
        self._changed = asyncio.Event()
        self._told: deque[Json] = deque(maxlen=MAX_TOLD)

    def wake(self) -> None:
        """Something has happened: look again at what is due."""
        self._changed.set()

    def tell(self, *events: Json) -> None:
        self._told.extend(events)
        self._changed.set()

    def tell_progress(self, event: Json) -> None:
        """A ``penny.progress`` event of the source."""
        self.company.note_progress(event["stage"], event.get("eta_ms"), self._clock())
        self.tell({"event_id": new_id("event"), **event})

    def note_caller(self, event: Json) -> None:
        """An event of the caller's: their speech and their wish for silence are heeded."""
        if event["type"] == "input_audio_buffer.append":
            self.company.hear(event, self._clock())
        elif event["type"] == "response.cancel" or str(event.get("item_id")) in self.company.items:
            self._told.extend(self.company.hush(self._clock()))
        elif event["type"] == "conversation.item.create":
            self.company.note_typed()
        self._changed.set()

    async def until(self, done: asyncio.Future[Any]) -> AsyncIterator[Json]:
        """Events as they are due, until ``done``; the sentence then begun ends at once."""
        while not done.done():
            for event in self._due():
                yield event
            await self._rest(done)
        for event in (*self.drain(), *self.company.finish(self._clock())):
            yield event

    async def speak_out(self) -> AsyncIterator[Json]:
        """The rest of the sentence at its own pace, to be heard before anything else comes."""
        while self.company.is_saying:
            for event in self._due():
                yield event
            await self._rest(None)

    def _due(self) -> list[Json]:
        return [*self.drain(), *self.company.due(self._clock())]

    def drain(self) -> list[Json]:
        """What was told and has not gone out yet."""
        told = list(self._told)
        self._told.clear()
        return told

    async def _rest(self, done: asyncio.Future[Any] | None) -> None:
        now_s = self._clock()
        rest_s = max(LEAST_REST_S, self.company.next_due_s(now_s) - now_s)
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            waiting = {changed} if done is None else {changed, done}
            await asyncio.wait(waiting, timeout=rest_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            self._changed.clear()
