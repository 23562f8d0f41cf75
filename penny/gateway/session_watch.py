"""An operator's view of live sessions: what each is, what it costs, its events as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from penny.aio.channel import Channel
from penny.gateway.redaction import redact
from penny.metering.price import SessionPrice
from penny.session.observers import MODE_CHANGED, Observer
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder


Json = dict[str, Any]

WATCHED_EVENTS = 500
"""Events waiting for an operator's page; the oldest go first: it must never slow a call."""
AUDIO_EVENTS = frozenset({"input_audio_buffer.append", "response.output_audio.delta"})


class SessionWatch(Observer):
    """Observer of one session that describes it in the list of live sessions."""

    listens_to = (MODE_CHANGED,)

    def __init__(
        self,
        watches: SessionWatches,
        session: Session,
        turns: TurnRecorder,
        price: SessionPrice,
        record: Json,
    ) -> None:
        self._watches = watches
        self._session = session
        self._turns = turns
        self.price = price
        self._record = record
        price.totals = session.state.totals
        self._note_mode()  # one that was cold may have given way before it began

    @property
    def session_id(self) -> str:
        return self._session.id

    @property
    def record(self) -> Json:
        """What it was admitted as: ``tenant``, ``key_id``, ``edge``, ``mode``."""
        return self._record

    @property
    def tenant(self) -> str:
        return str(self._record.get("tenant", ""))

    def speaker_event(self, event: Json, at_s: float) -> None:
        self._note_mode()

    def ended(self, reason: str, at_s: float) -> None:
        del self._watches.live[self._session.id]

    def describe(self, now_s: float) -> Json:
        """Its line in ``GET /admin/v1/sessions``. ``now_s`` is the loop's clock."""
        state = self._session.state
        return {
            "mode": self._session.mode,
            "duration_s": round(now_s - state.started_s, 1),
            "idle_s": round(now_s - state.last_activity_s, 1),
            "turns": self._turns.count,
            "usd": round(self.price.usd(), 6),
        }

    @asynccontextmanager
    async def reading(self, *, words: bool = False) -> AsyncIterator[Channel[Json]]:
        """Every event from now on until the session ends; ``words``: with what is said."""
        reader = EventReader(self._session.state.started_s, words=words)
        self._session.add_observer(reader)
        try:
            yield reader.events
        finally:
            self._session.remove_observer(reader)

    def _note_mode(self) -> None:
        self._record["mode"] = self._session.mode
        self.price.change_mode(self._session.mode)


class EventReader(Observer):
    """Observer of a session for one operator's page, for as long as that is open.

    Audio is told as its size, words as their length unless the reader asked for them (and was let).
    """

    def __init__(self, started_s: float, *, words: bool) -> None:
        self._started_s = started_s
        self._words = words
        self.events: Channel[Json] = Channel(WATCHED_EVENTS, on_full="drop_oldest")

    def caller_event(self, event: Json, at_s: float) -> None:
        self._show("caller", event, at_s)

    def speaker_event(self, event: Json, at_s: float) -> None:
        self._show("speaker", event, at_s)

    def ended(self, reason: str, at_s: float) -> None:
        self._show("session", {"type": "ended", "reason": reason}, at_s)
        self.events.close()

    def _show(self, source: str, event: Json, at_s: float) -> None:
        if event["type"] in AUDIO_EVENTS:
            event = {
                name: len(value) if name in ("audio", "delta") else value
                for name, value in event.items()
            }
        at_ms = round((at_s - self._started_s) * 1000)
        shown = event if self._words else redact(event)
        self.events.try_send({"from": source, "at_ms": at_ms, "event": shown})


class SessionWatches:
    """The watches of a gateway's live sessions; give ``watch`` to ``Broker.add_observer``.

    Args:
        usd_per_minute: by mode, for sessions that are not metered.
        clock: seconds, of any origin.
    """

    def __init__(self, usd_per_minute: Mapping[str, float], clock: Callable[[], float]) -> None:
        self._usd_per_minute = dict(usd_per_minute)
        self._clock = clock
        self._admitted: dict[str, tuple[SessionPrice, Json]] = {}
        self.live: dict[str, SessionWatch] = {}

    @contextmanager
    def admitted(self, session_id: str, mode: str, record: Json) -> Iterator[SessionPrice]:
        """The price of a session that is about to run, from its admission on.

        Args:
            record: shown of the session at every gateway; its ``mode`` is kept true.
        """
        price = SessionPrice(self._usd_per_minute, mode, self._clock)
        self._admitted[session_id] = price, record
        try:
            yield price
        finally:
            del self._admitted[session_id]

    def watch(self, session: Session, turns: TurnRecorder) -> SessionWatch:
        price, record = self._admitted.get(session.id) or (
            SessionPrice(self._usd_per_minute, session.mode, self._clock),
            {},
        )
        watch = self.live[session.id] = SessionWatch(self, session, turns, price, record)
        return watch
