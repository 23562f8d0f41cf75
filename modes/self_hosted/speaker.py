"""The speaker of a private session: it survives the death of its worker.

What is said passes through; a copy of it is kept. When the worker is lost another place is
acquired, seeded with the conversation, and the turn that was being answered is answered again,
after a short excuse in the worker's own voice. The session above notices only that it took longer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from modes.realtime import RealtimeSpeaker
from modes.self_hosted.conversation import ConversationCopy
from modes.self_hosted.excuse import ExcuseRecorder
from modes.self_hosted.house import CallHouse
from modes.self_hosted.kept_audio import AUDIO_IN
from modes.self_hosted.positions import shift_positions
from modes.self_hosted.source import Place
from modes.self_hosted.system_line import SystemLine
from modes.self_hosted.worker_answers import done, not_active
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable, SpeakerLost
from penny.ids import new_id
from penny.session.mode import SpeakerSink


log = structlog.get_logger()

Json = dict[str, Any]

Take = Callable[[Json], None]
OpenHouse = Callable[[Take, Callable[[], list[Json]], Take], CallHouse]

MAX_REPLACEMENTS = 3
"""In one session. Workers that die one after another die of this session."""
AUDIO_OUT = "response.output_audio.delta"
_STAMPED = frozenset(
    {
        "response.create",
        "session.update",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.retrieve",
        "conversation.item.delete",
        "conversation.item.truncate",
    }
)
_STAMP = "pennystamp"
"""Prefix of the ids given to events that came without one; the client never hears of them."""


class PrivateSpeaker:
    """A worker's speaker with another worker behind it.

    Args:
        speaker: open and configured, on ``place``.
        reopen: another place, and a speaker on it with the copy's session and items. Raises
            ModeUnavailable.
        open_house: what the call knows and may do; None is nothing.
        excuse: the sentence before the answer that is given again, recorded while a worker lives.
    """

    def __init__(
        self,
        speaker: RealtimeSpeaker,
        place: Place,
        reopen: Callable[[ConversationCopy], Awaitable[tuple[RealtimeSpeaker, Place]]],
        *,
        session_id: str,
        excuse: ExcuseRecorder,
        open_house: OpenHouse | None = None,
    ) -> None:
        self.info = speaker.info
        self._speaker = speaker
        self._place = place
        self._reopen = reopen
        self._session_id = session_id
        self._excuse = excuse
        self._conversation = ConversationCopy()
        self._conversation.session = dict(speaker.info.get("session") or {})
        self._sink: SpeakerSink | None = None
        self._tasks = TaskOwner("private speaker", self._give_up)
        self._house: CallHouse | None = None
        if open_house is not None:
            self._house = open_house(
                self._tell, lambda: self._conversation.items, lambda event: self._hand_on([event])
            )
        self._lost = False
        self._closed = False
        self._echoes: set[str] = set()
        self._line = SystemLine()
        self._as_text: set[str] = set()
        self._owed: list[Json] = []
        """Answers that the lost worker took with it."""
        self._to_ask: list[Json] = []
        self._from_ms = 0.0
        """How much of the caller's audio came before the first that this worker heard."""
        self._spent_before_usd = 0.0
        self._told_usd: float | None = None
        self._spent_usd: float | None = None
        self.replacements = 0
        self._open_house()

    def seeded(self, history: tuple[Json, ...]) -> None:
        """The conversation began with ``history``: another worker must know it too."""
        for item in history:
            self._conversation.caller_event({"type": "conversation.item.create", "item": item})

    def record_excuse(self) -> None:
        """Have the excuse recorded, beside whatever the session begins with."""
        request = self._excuse.request()
        if request is not None:
            self._hand_on([request])

    @property
    def is_full(self) -> bool:
        return not self._lost and self._speaker.is_full

    async def drain(self) -> None:
        while self.is_full:
            with suppress(SpeakerLost):  # then another worker is on its way, and has room
                await self._speaker.drain()

    def start(self, sink: SpeakerSink) -> None:
        self._sink = sink
        sink.on_event({"type": "penny.session", "session": self._conversation.session})
        for warning in self._house.warnings() if self._house is not None else ():
            sink.on_event(warning)
        self._speaker.start(self)

    def send(self, event: Json) -> None:
        """Send one client event. What a dead worker did not take, the next one gets."""
        kind = event["type"]
        if kind == AUDIO_IN:
            self._conversation.append(event)
            self._hand_on([event])
            return
        if kind in _STAMPED and not event.get("event_id"):
            event = {**event, "event_id": new_id(_STAMP)}
        elif kind == "conversation.item.create" and not event["item"].get("id"):
            event = {**event, "item": {**event["item"], "id": new_id("item")}}
        self._conversation.caller_event(event)
        if self._lost:
            self._answer_alone(event)
        else:
            self._hand_on(self._for_worker(event))

    def hint(self, text: str) -> None:
        """Put a line into the worker's conversation; the next worker is not told of it."""
        if not self._lost:
            self._hand_on(self._line.replace(text))

    def _answer_alone(self, event: Json) -> None:
        """Without a worker: what needs none is answered, the rest waits for the next one."""
        if self._sink is None:
            return
        if event["type"] == "response.cancel":
            self._owed.clear()
            self._conversation.break_off()
            self._sink.on_event(not_active(event))
        for asked in self._conversation.take_unanswered():
            self._sink.on_event(done(asked))

    def _hand_on(self, events: list[Json]) -> None:
        if self._lost:
            return
        try:
            for event in events:
                self._speaker.send(event)
        except SpeakerLost:
            self._lost = True  # its end is about to be told, and replaced by another

    def _for_worker(self, event: Json) -> list[Json]:
        """The event; for a cut of an answer that this worker has as text, the shorter text."""
        item_id = event.get("item_id", "")
        is_cut = event["type"] == "conversation.item.truncate"
        if not is_cut or item_id not in self._as_text or self._sink is None:
            return [event]
        for asked in self._conversation.take_unanswered(event["event_id"]):
            self._sink.on_event(done(asked))
        self._echoes.add(item_id)
        events: list[Json] = [{"type": "conversation.item.delete", "item_id": item_id}]
        seed, previous = self._conversation.find(item_id)
        if seed is not None:
            again = {"type": "conversation.item.create", "item": seed}
            events.append({**again, "previous_item_id": previous or "root"})
        return events

    async def aclose(self) -> None:
        _ = self.spent_usd  # the last word on it: a place that was given back costs nothing more
        self._closed = True
        await self._tasks.aclose()
        if self._house is not None:
            await self._house.aclose()
        await self._speaker.aclose()
        await self._place.release()

    # -- what the worker says -----------------------------------------------------------------

    def on_event(self, event: Json) -> None:
        """One event of the worker's."""
        sink = self._sink
        if self._closed or sink is None:
            return
        kind = event["type"]
        if kind == AUDIO_OUT and event["response_id"] != self._excuse.response_id:
            self._conversation.sound(event)
            sink.on_event(event)
            return
        for told in self._take(event):
            sink.on_event(told)
            if self._to_ask and kind == "response.done":
                self.send(self._to_ask.pop(0))

    def on_closed(self, error: SpeakerLost | None) -> None:
        """The worker's connection has ended: the session goes on with another, if it broke off."""
        if self._closed or self._sink is None:
            return
        if error is None and self._lost:
            error = SpeakerLost("the worker's connection broke while sending")
        if error is None or self._conversation.expired:
            self._sink.on_closed(error)
            return
        self._lost = True
        self._owed = owed = self._conversation.owed() + self._to_ask
        for asked in self._conversation.take_unanswered():
            self._sink.on_event(done(asked))
        for kind, fields in self._conversation.close_answers(_WORKER_LOST):
            self._sink.on_event({"type": kind, "event_id": new_id("event"), **fields})
        self._conversation.break_off()
        speaks = "audio" in (self._conversation.session.get("output_modalities") or ["audio"])
        recorded = self._excuse.recorded if owed and speaks else None
        for told in recorded.events(self._conversation.session) if recorded else ():
            self._conversation.worker_event(told)
            self._sink.on_event(told)
        self._tasks.spawn(
            self._recover(self._sink, error, excused=recorded is not None), name="replacing"
        )

    async def _recover(self, sink: SpeakerSink, loss: SpeakerLost, *, excused: bool) -> None:
        try:
            await self._replace(loss, excused=excused)
        except SpeakerLost as error:
            sink.on_closed(error)
            return
        sink.on_event(_REPLACED)
        self._speaker.start(self)

    def _give_up(self, _task: str, _error: BaseException) -> None:
        """A fault of ours, logged: this session has no worker and gets none."""
        if self._sink is not None:
            self._sink.on_closed(SpeakerLost("the worker was not replaced"))

    def _take(self, event: Json) -> list[Json]:
        """What the session is told of it."""
        kind = event["type"]
        if self._house is not None and self._house.takes(event):
            return []
        if self._excuse.takes(event) or (kind in _ECHOES and self._is_echo(event)):
            return []
        if kind == "penny.cost":
            # Counted with the rest of the session and told once, by the meter.
            self._told_usd = float(event.get("usd_total") or 0.0)
            return []
        if kind == "error" and self.replacements and event["error"]["code"] in _UNKNOWN_ITEM:
            # The worker before had it; this one was not told of what nobody heard.
            gone = self._conversation.take_unanswered(event["error"]["event_id"] or "")
            if gone:
                return [done(gone[0])]
        self._conversation.worker_event(event)
        if kind == "input_audio_buffer.speech_started":
            self._to_ask.clear()  # what the caller says now will be answered instead
        elif kind == "error":
            return [_unstamped(event)]
        elif kind == "response.done" and self._house is not None:
            self._house.answered(event["response"])
        return [shift_positions(event, self._from_ms)]

    def _is_echo(self, event: Json) -> bool:
        """Whether the worker answers a seed of ours, which the caller's side has seen before."""
        item_id = (event.get("item") or {}).get("id") or event.get("item_id")
        if item_id in self._line.ids:
            return True
        if item_id not in self._echoes:
            return False
        if event["type"] == "conversation.item.done":
            self._echoes.discard(item_id)
        return True

    def _open_house(self) -> None:
        if self._house is not None:
            self._hand_on([self._house.opening()])

    def _tell(self, event: Json) -> None:
        if self._sink is not None and not self._closed:
            active = next(iter(self._conversation.active_responses), None)
            self._sink.on_event({**event, "response_id": active} if active else event)

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

    async def _replace(self, loss: SpeakerLost, *, excused: bool) -> None:
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
            self._speaker, self._place = await self._reopen(self._conversation)
        except ModeUnavailable as error:
            raise SpeakerLost(f"no other worker: {error.message}") from error
        owed, self._owed = self._owed, []
        self._go_on(owed, excused=excused)
        log.info("worker_replaced", session_id=self._session_id, owed=len(owed))

    def _go_on(self, owed: list[Json], *, excused: bool) -> None:
        """Seed, catch up, excuse, ask. A worker lost here tells its end when it is followed."""
        self._lost = False
        self._line = SystemLine()
        self._open_house()
        unfinished = self._conversation.unfinished
        self._from_ms = self._conversation.unfinished_from_ms
        # Asked for while there was no worker: it is owed like the rest.
        owed += [request for request in self._conversation.owed() if request not in owed]
        self._conversation.break_off()
        items = self._conversation.items
        self._echoes = {item["id"] for item in items if self._conversation.was_told(item["id"])}
        self._as_text = {item["id"] for item in items if item.get("role") == "assistant"}
        first: list[Json] = []
        if owed:
            first = [owed[0] if excused else self._excuse.spoken_afterwards()]
            self._to_ask.extend(owed[1:] if excused else owed)
        try:
            for item in items:
                self._speaker.send({"type": "conversation.item.create", "item": item})
            for event in [*unfinished, *first]:
                self._speaker.send(event)
        except SpeakerLost:
            self._lost = True
            self._to_ask.clear()
            for request in owed:
                self._conversation.caller_event(request)
            return
        for event in first:
            self._conversation.caller_event(event)


_ECHOES = frozenset(
    {"conversation.item.added", "conversation.item.done", "conversation.item.deleted"}
)
"""What a worker answers to seeds."""


_UNKNOWN_ITEM = ("item_delete_invalid_item_id", "item_truncate_invalid_item_id")
_WORKER_LOST: Json = {
    "type": "server_error",
    "code": "worker_lost",
    "message": "the worker was lost; another one answers this turn again",
}
_REPLACED: Json = {
    "type": "penny.warning",
    "code": "degraded",
    "message": "the worker was lost; another one goes on with the conversation",
}


def _unstamped(event: Json) -> Json:
    fault = event["error"]
    if not str(fault.get("event_id") or "").startswith(f"{_STAMP}_"):
        return event
    return {**event, "error": {**fault, "event_id": None}}
