"""The speaker of a private session: it survives the death of its worker.

What is said passes through; a mirror keeps it. When the worker is lost another place is acquired,
seeded with the conversation, and the turn that was being answered is answered again, after a
short excuse in the worker's own voice. The session above notices only that it took longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog

from modes.realtime import RealtimeSpeaker
from modes.self_hosted.excuse import ExcuseRecorder
from modes.self_hosted.mirror import Mirror
from modes.self_hosted.source import Place
from modes.self_hosted.waiting.attendance import Attendance
from modes.self_hosted.waiting.kept_events import TrueTime
from penny.errors import ModeUnavailable, SpeakerLost
from penny.ids import new_id


log = structlog.get_logger()

Json = dict[str, Any]

MAX_REPLACEMENTS = 3
"""In one session. Workers that die one after another die of this session."""
AUDIO_IN = "input_audio_buffer.append"
AUDIO_OUT = "response.output_audio.delta"
_STAMPED = frozenset({"response.create", "session.update"})
_STAMP = "pennystamp"
"""Prefix of the ids given to events that came without one; the client never hears of them."""


class PrivateSpeaker:
    """A worker's speaker with another worker behind it.

    Args:
        speaker: open and configured, on ``place``.
        reopen: another place, and a speaker on it with the mirror's session and items. Raises
            ModeUnavailable.
        excuse: what Penny says before she answers again, recorded while a worker lives.
        keep_company: what the caller hears while another worker is long in coming, from the
            effective session.
    """

    def __init__(
        self,
        speaker: RealtimeSpeaker,
        place: Place,
        reopen: Callable[[Mirror], Awaitable[tuple[RealtimeSpeaker, Place]]],
        *,
        session_id: str,
        excuse: ExcuseRecorder,
        keep_company: Callable[[Json], Attendance] | None = None,
    ) -> None:
        self.info = speaker.info
        self._speaker = speaker
        self._place = place
        self._reopen = reopen
        self._session_id = session_id
        self._excuse = excuse
        self._keep_company = keep_company
        self._attendance: Attendance | None = None
        self._said_alone: set[str] = set()
        self._mirror = Mirror()
        self._mirror.session = dict(speaker.info.get("session") or {})
        self._lock = asyncio.Lock()
        self._carry: Callable[[Json], None] | None = None
        self._lost = False
        self._closed = False
        self._echoes: set[str] = set()
        self._as_text: set[str] = set()
        self._to_ask: list[Json] = []
        self._time = TrueTime([(0.0, 0.0)])
        """From this worker's audio clock, which begins at 0, to that of all the caller sent."""
        self._spent_before_usd = 0.0
        self._told_usd: float | None = None
        self._spent_usd: float | None = None
        self.replacements = 0

    def seeded(self, history: tuple[Json, ...]) -> None:
        """The conversation began with ``history``: another worker must know it too."""
        for item in history:
            self._mirror.caller_event({"type": "conversation.item.create", "item": item})

    async def start(self) -> None:
        """Have the excuse recorded, beside whatever the session begins with."""
        request = self._excuse.request()
        if request is not None:
            await self.send_apart(request)

    async def send_apart(self, event: Json) -> None:
        """Send what is no part of the conversation: the next worker need not know it."""
        async with self._lock:
            try:
                await self._speaker.send(event)
            except SpeakerLost:
                self._lost = True

    async def send(self, event: Json) -> None:
        """Send one client event. What a dead worker did not take, the next one gets."""
        if event["type"] == AUDIO_IN and self.take_at_once(event):
            return
        if event["type"] in _STAMPED and not event.get("event_id"):
            event = {**event, "event_id": new_id(_STAMP)}
        elif event["type"] == "conversation.item.create" and _lacks_id(event.get("item")):
            event = {**event, "item": {**event["item"], "id": new_id("item")}}
        if self._attendance is not None:
            self._attendance.note_caller(event)
        if str(event.get("item_id")) in self._said_alone:
            return  # a sentence of ours that no worker knows of
        async with self._lock:
            self._mirror.caller_event(event)
            await self._hand_on(self._for_worker(event))

    def take_at_once(self, event: Json) -> bool:
        """Send a piece of audio in this step; False when nothing was done: then ``send`` it."""
        if self._lock.locked() or self._lost or self._attendance is not None:
            return False
        if not self._speaker.take_at_once(event):
            return False
        self._mirror.append(event)
        return True

    async def _hand_on(self, events: list[Json]) -> None:
        if self._lost:
            return
        speaker = self._speaker
        try:
            for event in events:
                await speaker.send(event)
        except SpeakerLost:
            # The reading side finds out why, and what to do; maybe it has replaced it by now.
            self._lost = self._lost or speaker is self._speaker

    def _for_worker(self, event: Json) -> list[Json]:
        """The event; for a cut of an answer that this worker has as text, the shorter text."""
        item_id = event.get("item_id", "")
        if event["type"] != "conversation.item.truncate" or item_id not in self._as_text:
            return [event]
        self._echoes.add(item_id)
        events: list[Json] = [{"type": "conversation.item.delete", "item_id": item_id}]
        seed, previous = self._mirror.find(item_id)
        if seed is not None:
            again = {"type": "conversation.item.create", "item": seed}
            events.append({**again, "previous_item_id": previous or "root"})
        return events

    async def events(self) -> AsyncIterator[Json]:
        """Server events of one worker after the other. Raises SpeakerLost when none is left."""
        yield {"type": "penny.session", "session": self._mirror.session}
        while True:
            loss = SpeakerLost("the worker's connection broke while sending")
            try:
                speaker = self._speaker
                if self._carry is not None:
                    speaker.bring_to(self._bring)
                while (event := await speaker.receive()) is not None:
                    events = self._take(event)
                    for told in events:
                        yield told
                    if events and event["type"] == "response.done" and self._to_ask:
                        await self.send(self._to_ask.pop(0))
                if not self._lost:
                    return
            except SpeakerLost as error:
                loss = error
            if self._closed or self._mirror.expired:
                raise loss
            self._lost = True
            owed = self._mirror.owed() + self._to_ask
            for response_id in self._mirror.active_responses:
                yield _failed(response_id)
            self._mirror.break_off()
            speaks = "audio" in (self._mirror.session.get("output_modalities") or ["audio"])
            recorded = self._excuse.recorded if owed and speaks else None
            for told in recorded.events(self._mirror.session) if recorded else ():
                self._mirror.worker_event(told)
                yield told
            replacing = asyncio.ensure_future(
                self._replace(loss, owed, excused=recorded is not None)
            )
            try:
                async for told in self._attend(replacing):
                    yield told
                await replacing
            finally:
                replacing.cancel()
            yield _REPLACED

    async def aclose(self) -> None:
        _ = self.spent_usd  # the last word on it: a place that was given back costs nothing more
        self._closed = True
        self._carry = None  # it leads back here
        await self._speaker.aclose()
        await self._place.release()

    async def _attend(self, replacing: asyncio.Future[None]) -> AsyncIterator[Json]:
        """What the caller hears until there is another worker."""
        if self._keep_company is None:
            return
        self._attendance = self._keep_company(self._mirror.session)
        self._said_alone = self._attendance.company.items
        try:
            async for event in self._attendance.until(replacing):
                yield event
        finally:
            self._attendance = None

    # -- what the worker says -----------------------------------------------------------------

    def bring_to(self, carry: Callable[[Json], None]) -> None:
        self._carry = carry

    def _bring(self, event: Json) -> bool:
        """Carry an event in the step in which it came; False leaves it to ``events``."""
        assert self._carry is not None
        if self._to_ask and event["type"] == "response.done":
            return False  # the next question may have to wait
        for told in self._take(event):
            self._carry(told)
        return True

    def _take(self, event: Json) -> list[Json]:
        """What the session is told of it."""
        kind = event["type"]
        if kind == AUDIO_OUT and event["response_id"] != self._excuse.response_id:
            self._mirror.sound(event)
            return [event]
        if self._excuse.takes(event) or (kind in _ECHOES and self._is_echo(event)):
            return []
        if kind == "penny.cost":
            # Counted with the rest of the session and told once, by whoever counts.
            self._told_usd = float(event.get("usd_total") or 0.0)
            return []
        self._mirror.worker_event(event)
        if kind == "input_audio_buffer.speech_started":
            self._to_ask.clear()  # what the caller says now will be answered instead
        elif kind == "error":
            return [_unstamped(event)]
        return [self._time.restore(event) if self.replacements else event]

    def _is_echo(self, event: Json) -> bool:
        """Whether the worker answers a seed of ours, which the caller's side has seen before."""
        item_id = (event.get("item") or {}).get("id") or event.get("item_id")
        if item_id not in self._echoes:
            return False
        if event["type"] == "conversation.item.done":
            self._echoes.discard(item_id)
        return True

    @property
    def spent_usd(self) -> float | None:
        """What this session has cost so far, in US dollars: its places' share of their workers
        and what those told of themselves. None when neither is known."""
        place = self._place.spent_usd
        if not self._closed and (place is not None or self._told_usd is not None):
            here_usd = (place() if place is not None else 0.0) + (self._told_usd or 0.0)
            self._spent_usd = self._spent_before_usd + here_usd
        return self._spent_usd

    # -- another worker -----------------------------------------------------------------------

    async def _replace(self, loss: SpeakerLost, owed: list[Json], *, excused: bool) -> None:
        """Go on with another worker. Raises SpeakerLost."""
        log.warning("worker_lost_in_session", session_id=self._session_id, reason=loss.message)
        self.replacements += 1
        if self.replacements > MAX_REPLACEMENTS:
            raise SpeakerLost(f"{self.replacements} workers were lost in this session") from loss
        self._spent_before_usd, self._told_usd = self.spent_usd or 0.0, None
        await self._speaker.aclose()
        await self._place.release()
        self._to_ask.clear()
        try:
            self._speaker, self._place = await self._reopen(self._mirror)
        except ModeUnavailable as error:
            raise SpeakerLost(f"no other worker: {error.message}") from error
        async with self._lock:
            await self._go_on(owed, excused=excused)
        log.info("worker_replaced", session_id=self._session_id, owed=len(owed))

    async def _go_on(self, owed: list[Json], *, excused: bool) -> None:
        """Under the lock: seed, catch up, excuse, ask. A worker lost here is noticed by reading."""
        speaker = self._speaker
        self._lost = False
        unfinished = self._mirror.unfinished
        self._time = TrueTime([(0.0, self._mirror.unfinished_from_ms)])
        # Asked for while there was no worker: it is owed like the rest.
        owed += [request for request in self._mirror.owed() if request not in owed]
        self._mirror.break_off()
        items = self._mirror.items
        self._echoes = {item["id"] for item in items if self._mirror.was_told(item["id"])}
        self._as_text = {item["id"] for item in items if item.get("role") == "assistant"}
        first: list[Json] = []
        if owed:
            first = [owed[0] if excused else self._excuse.spoken_afterwards()]
            self._to_ask.extend(owed[1:] if excused else owed)
        try:
            for item in items:
                await speaker.send({"type": "conversation.item.create", "item": item})
            for event in [*unfinished, *first]:
                await speaker.send(event)
        except SpeakerLost:
            self._lost = True
            self._to_ask.clear()
            for request in owed:
                self._mirror.caller_event(request)
            return
        for event in first:
            self._mirror.caller_event(event)


_ECHOES = frozenset(
    {"conversation.item.added", "conversation.item.done", "conversation.item.deleted"}
)
"""What a worker answers to seeds."""


_REPLACED: Json = {
    "type": "penny.warning",
    "code": "degraded",
    "message": "the worker was lost; another one goes on with the conversation",
}


def _lacks_id(item: object) -> bool:
    """Whether an item needs an id of ours. What is no item is the worker's to refuse."""
    return isinstance(item, dict) and not item.get("id")


def _unstamped(event: Json) -> Json:
    fault = event["error"]
    if not str(fault.get("event_id") or "").startswith(f"{_STAMP}_"):
        return event
    return {**event, "error": {**fault, "event_id": None}}


def _failed(response_id: str) -> Json:
    """The end of an answer whose worker cannot end it any more."""
    error = {
        "type": "server_error",
        "code": "worker_lost",
        "message": "the worker was lost; another one answers this turn again",
    }
    return {
        "type": "response.done",
        "event_id": new_id("event"),
        "response": {
            "id": response_id,
            "object": "realtime.response",
            "status": "failed",
            "status_details": {"type": "failed", "error": error},
            "output": [],
        },
    }
