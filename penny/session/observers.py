"""Observers see a session and never stand in its way: metering, metrics, recording, the brain."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import structlog


log = structlog.get_logger()

Json = dict[str, Any]

MODE_CHANGED = "penny.mode_changed"


class Observer(Protocol):
    """Sees every event of a session, in line with the audio; by default it does nothing.

    It does nothing slow and does not raise; what it raises all the same is logged and goes no
    further.
    """

    def caller_event(self, event: Json, at_s: float) -> None:
        """A Realtime client event on its way to the speaker. ``at_s`` is the loop's clock."""
        return

    def speaker_event(self, event: Json, at_s: float) -> None:
        """A Realtime server event on its way to the caller."""
        return

    def ended(self, reason: str, at_s: float) -> None:
        """The session is over; nothing more is shown."""
        return


@runtime_checkable
class ListensTo(Protocol):
    """An observer that is shown only events of these types, of either side.

    Without it an observer sees all of them: a hundred pieces of audio a second and session.
    """

    listens_to: Collection[str]


class ObserverDispatch:
    """Shows each event to the observers of one session, in the order in which they were added."""

    def __init__(self, session_id: str, observers: Sequence[Observer] = ()) -> None:
        self._session_id = session_id
        self._observers = list(observers)
        self._sort()

    def add(self, *observers: Observer) -> None:
        """Let ``observers`` see what comes from now on."""
        self._observers += observers
        self._sort()

    def remove(self, observer: Observer) -> None:
        """``observer`` sees no more, not even the end. Idempotent."""
        self._observers = [other for other in self._observers if other is not observer]
        self._sort()

    def caller_event(self, event: Json, at_s: float) -> None:
        for observer in self._by_kind.get(event["type"], self._of_others):
            try:
                observer.caller_event(event, at_s)
            except Exception:
                self._failed(event["type"])

    def speaker_event(self, event: Json, at_s: float) -> None:
        for observer in self._by_kind.get(event["type"], self._of_others):
            try:
                observer.speaker_event(event, at_s)
            except Exception:
                self._failed(event["type"])

    def ended(self, reason: str, at_s: float) -> None:
        for observer in list(self._observers):
            try:
                observer.ended(reason, at_s)
            except Exception:
                self._failed("ended")

    def _failed(self, kind: str) -> None:
        log.exception("observer_failed", session_id=self._session_id, event_type=kind)

    def _sort(self) -> None:
        """File observers by what they listen to. New lists: one may be in use just now."""
        choosy = {
            id(o): frozenset(o.listens_to) for o in self._observers if isinstance(o, ListensTo)
        }
        kinds = frozenset().union(*choosy.values())
        self._of_others = [o for o in self._observers if id(o) not in choosy]
        self._by_kind = {
            kind: [o for o in self._observers if kind in choosy.get(id(o), kinds)] for kind in kinds
        }


class ChangesMode(Protocol):
    """A session, as far as a change of its mode is concerned."""

    id: str
    mode: str


class ModeChange(Observer):
    """The observer that moves a session to another mode when its speaker tells so.

    ``penny.mode_changed`` comes before a word goes to what answers from then on; every list,
    count and log line of the session names the new mode afterwards.

    Args:
        counted: sessions that moved, by (from, to).
    """

    listens_to = (MODE_CHANGED,)

    def __init__(self, session: ChangesMode, counted: dict[tuple[str, str], int]) -> None:
        self._session = session
        self._counted = counted

    def speaker_event(self, event: Json, at_s: float) -> None:
        before, self._session.mode = self._session.mode, event["mode"]
        way = (before, self._session.mode)
        self._counted[way] = self._counted.get(way, 0) + 1
        log.warning("session_mode_changed", session_id=self._session.id, before=before, mode=way[1])
