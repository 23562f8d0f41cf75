"""Who puts events into the outbox: the keeper of records, and the observer of live calls.

What is told at once (a call began, its caller was promised a person, an alert was raised) is told
again with the record, with the same id: what the database does not take now is not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.aio.tasks import TaskOwner
from penny.calls.database import StoreUnavailable
from penny.calls.keeper import make_call
from penny.calls.masking import mask_digits, without_words
from penny.calls.record import Alert, Call, keep_turn
from penny.calls.recorder import CallRecorder
from penny.session.observers import MODE_CHANGED, Observer
from penny.session.turn_record import TurnReader, TurnRecord
from penny.webhooks.events import Event
from penny.webhooks.outbox import Outbox
from penny.webhooks.telling import (
    alerted,
    analysed,
    events_of,
    handed_over,
    recording_lost,
    started,
    turn_completed,
)


log = structlog.get_logger()

Json = dict[str, Any]


class RecordTelling:
    """Writes what is told of a call in the transaction that keeps its record (``keeper.Tells``).

    Args:
        awaits_analysis: every call is analysed later, and ``analysed`` told then.
    """

    def __init__(self, outbox: Outbox, *, awaits_analysis: bool = False) -> None:
        self._outbox = outbox
        self._awaits_analysis = awaits_analysis

    async def kept(self, connection: AsyncConnection, call: Call) -> None:
        told = events_of(call, awaits_analysis=self._awaits_analysis)
        await self._outbox.write(connection, told)

    async def analysed(self, connection: AsyncConnection, call: Call) -> None:
        """Its analysis is over, whatever came of it; ``call`` has what was found."""
        await self._outbox.write(connection, analysed(call))

    async def sound_lost(self, connection: AsyncConnection, call: Call) -> None:
        await self._outbox.write(connection, [recording_lost(call)])


class LiveTelling:
    """Puts events of live calls into the outbox; nothing of a call waits for it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._tasks = TaskOwner("live events")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def watch(self, recorder: CallRecorder, started_s: float, turns: AddsReader) -> Observer:
        """The observer of a call that begins now, at ``started_s`` on the loop's clock."""
        call = _LiveCall(recorder, started_s, self._tell)
        if any(each.live_turns for each in self._outbox.receivers.values()):
            turns.add_reader(call)
        return call

    def _tell(self, event: Event) -> None:
        self._tasks.spawn(self._add(event), name="tell event")

    async def _add(self, event: Event) -> None:
        try:
            await self._outbox.add([event], is_live=True)
        except StoreUnavailable as error:
            log.warning("event_told_later", event_type=event.type, reason=error.message)


class AddsReader(Protocol):
    """What records a session's turns: ``TurnRecorder``."""

    def add_reader(self, reader: TurnReader) -> None:
        """Let it read turns as they finish."""
        ...


class _LiveCall(Observer, TurnReader):
    """Observer of one call: tells its beginning, its hand-offs as they are promised, alerts as they
    are raised (``CallRecorder.raise_alert``), and turns where they are wanted at once."""

    listens_to = ("penny.handoff", MODE_CHANGED)

    def __init__(
        self, recorder: CallRecorder, started_s: float, tell: Callable[[Event], None]
    ) -> None:
        call = make_call([{"kind": "call", "call": recorder.header}], {"caller": 0, "penny": 0})
        assert call is not None
        self._call = call
        self._recorder = recorder
        self._started_s = started_s
        self._tell = tell
        self._handoffs = 0
        recorder.on_alert = self._alerted
        tell(started(call))

    def _alerted(self, alert: Alert, number: int) -> None:
        self._tell(alerted(self._call, alert, number))

    def turn_finished(self, turn: TurnRecord) -> None:
        """Tell a turn without a number: a card's may go on in the next."""
        if turn.number > 0:
            kept = keep_turn(turn)
            masks = mask_digits if self._recorder.consent.keeps_words else without_words
            told = masks(kept)
            is_masked = (told.words, told.heard_text) != (kept.words, kept.heard_text)
            told = told.model_copy(update={"is_masked": is_masked})
            self._tell(turn_completed(self._call, told))

    def speaker_event(self, event: Json, at_s: float) -> None:
        if event["type"] == MODE_CHANGED:
            self._call.modes.append(event["mode"])
            return
        told = handed_over(
            self._call,
            event,
            (at_s - self._started_s) * 1000,
            self._handoffs,
            keeps_words=self._recorder.consent.keeps_words,
            hides_numbers=self._recorder.has_paused,
        )
        self._tell(told)
        self._handoffs += 1
