"""Observers see a session and never stand in its way: metering, metrics, recording, the brain."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol, runtime_checkable


Json = dict[str, Any]


class Observer(Protocol):
    """Called in line with the audio: do nothing slow, never raise (a raise is logged, counted)."""

    def caller_event(self, event: Json, at_s: float) -> None:
        """A Realtime client event on its way to the speaker. ``at_s`` is the loop's clock."""
        ...

    def speaker_event(self, event: Json, at_s: float) -> None:
        """A Realtime server event on its way to the caller."""
        ...

    def ended(self, reason: str, at_s: float) -> None: ...


@runtime_checkable
class ListensTo(Protocol):
    """An observer that is shown only events of these types, of either side.

    Without it an observer sees all of them: a hundred pieces of audio a second and session.
    """

    listens_to: Collection[str]
