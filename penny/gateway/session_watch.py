"""An operator's eyes on live sessions: what each is, what it costs, its events as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from penny.aio.channel import Channel
from penny.gateway.redaction import redact
from penny.session.mode_change import MODE_CHANGED
from penny.session.session import Session


Json = dict[str, Any]

WATCHED_EVENTS = 500
"""Events waiting for an operator's page; the oldest go first: it must never slow a call."""
AUDIO_EVENTS = frozenset({"input_audio_buffer.append", "response.output_audio.delta"})


class Meter:
    """What a session has cost: as metered, else by its mode's price of a minute."""

    def __init__(self, usd_per_minute: float) -> None:
        self._usd_per_minute = usd_per_minute
        self._usd_before, self._changed_s = 0.0, 0.0
        self.session: Session | None = None
        self.record: Json = {}
        """What operators at other gateways are shown of the session."""

    def change(self, mode: str, usd_per_minute: float, elapsed_s: float) -> None:
        """Another mode answers since ``elapsed_s``."""
        self.record["mode"] = mode
        self._usd_before, self._changed_s = self._price(elapsed_s), elapsed_s
        self._usd_per_minute = usd_per_minute

    def _price(self, elapsed_s: float) -> float:
        return self._usd_before + (elapsed_s - self._changed_s) / 60 * self._usd_per_minute

    def __call__(self, elapsed_s: float) -> float:
        """Dollars since the start of a session that has lasted ``elapsed_s``."""
        usd = self.session.state.totals.get("usd") if self.session is not None else None
        return float(usd) if usd is not None else self._price(elapsed_s)


class SessionWatch:
    """Observes one session. Audio is told as its size: nobody listens in here.

    Words are told as their length, unless a reader asked for them (and was let).
    """

    listens_to = ("response.created", MODE_CHANGED)

    def __init__(self, watches: SessionWatches, session: Session) -> None:
        self._watches = watches
        self._session = session
        self.turns = 0

    def caller_event(self, event: Json, at_s: float) -> None:
        return None

    def speaker_event(self, event: Json, at_s: float) -> None:
        if event["type"] == MODE_CHANGED:
            self._watches.note_mode(self._session, at_s - self._session.state.started_s)
        else:
            self.turns += 1

    def ended(self, reason: str, at_s: float) -> None:
        del self._watches.live[self._session.id]

    def describe(self, now_s: float) -> Json:
        state = self._session.state
        return {
            "mode": self._session.mode,
            "duration_s": round(now_s - state.started_s, 1),
            "idle_s": round(now_s - state.last_activity_s, 1),
            "responses": self.turns,
            "usd": state.totals.get("usd"),
        }

    @asynccontextmanager
    async def reading(self, *, words: bool = False) -> AsyncIterator[Channel[Json]]:
        """Every event from now on until the session ends; ``words``: with what is said."""
        reader = Reader(self._session.state.started_s, words=words)
        self._session.add_observer(reader)
        try:
            yield reader.events
        finally:
            self._session.remove_observer(reader)


class Reader:
    """Observes a session for one operator's page, for as long as that is open."""

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
    """Makes the watch of each session; give ``watch`` to ``Broker.add_observer``.

    Args:
        usd_per_minute: by mode, for sessions that nobody meters.
    """

    def __init__(self, usd_per_minute: Mapping[str, float]) -> None:
        self._usd_per_minute = dict(usd_per_minute)
        self._meters: WeakValueDictionary[str, Meter] = WeakValueDictionary()
        self.live: dict[str, SessionWatch] = {}

    def meter(self, session_id: str, mode: str, record: Json | None = None) -> Meter:
        """The cost of a session that is about to run. It lives as long as its lease holds it.

        Args:
            record: shown of the session everywhere; its ``mode`` is kept true.
        """
        meter = self._meters[session_id] = Meter(self._usd_per_minute.get(mode, 0.0))
        meter.record = record if record is not None else {"mode": mode}
        return meter

    def note_mode(self, session: Session, elapsed_s: float) -> None:
        """The session is ``session.mode``'s since ``elapsed_s``."""
        meter = self._meters.get(session.id)
        if meter is not None and meter.record.get("mode") != session.mode:
            price = self._usd_per_minute.get(session.mode, 0.0)
            meter.change(session.mode, price, elapsed_s)

    def watch(self, session: Session) -> SessionWatch:
        meter = self._meters.get(session.id)
        if meter is not None:
            meter.session = session
            self.note_mode(session, 0.0)  # one that was cold may have given way before it began
        watch = self.live[session.id] = SessionWatch(self, session)
        return watch
