"""Who of a session's observers is shown which event."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from penny.session.observer import Json, ListensTo, Observer


log = structlog.get_logger()


class Audience:
    """The observers of one session, in the order they came. What one raises stays with it."""

    def __init__(self, session_id: str, observers: Sequence[Observer] = ()) -> None:
        self._session_id = session_id
        self._observers = list(observers)
        self._seat()

    def add(self, *observers: Observer) -> None:
        """Let ``observers`` see what comes from now on."""
        self._observers += observers
        self._seat()

    def remove(self, observer: Observer) -> None:
        """``observer`` sees no more, not even the end. Idempotent."""
        self._observers = [other for other in self._observers if other is not observer]
        self._seat()

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

    def _seat(self) -> None:
        """Sort observers by what they listen to; whoever is being shown an event is not moved."""
        choosy = {
            id(o): frozenset(o.listens_to) for o in self._observers if isinstance(o, ListensTo)
        }
        kinds = frozenset().union(*choosy.values())
        self._of_others = [o for o in self._observers if id(o) not in choosy]
        self._by_kind = {
            kind: [o for o in self._observers if kind in choosy.get(id(o), kinds)] for kind in kinds
        }
