"""The inner seam, caller's side: an edge is where a caller comes from.

An edge turns what its carrier brings (a socket, a phone line) into Realtime client events and
plays Realtime server events to the caller. It owns playback: only it knows what was heard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, runtime_checkable


Json = dict[str, Any]


class Edge(Protocol):
    name: str
    end_reason: str
    """Why this caller's events ended: ``client_ended`` (said goodbye) or ``client_gone``."""

    def events(self) -> AsyncIterator[Json]:
        """Realtime client events of the caller until they hang up."""
        ...

    def deliver(self, event: Json) -> None:
        """Take one Realtime server event (or ``penny.*`` event) for the caller.

        Nobody waits for a caller: what they are slow to take is the edge's to keep, and to bound.
        """
        ...

    async def aclose(self, reason: str, totals: Json) -> None:
        """Say goodbye in the carrier's words and close. Idempotent."""
        ...


@runtime_checkable
class HandsOver(Protocol):
    """An edge that can bring audio to the speaker in the step in which it was read.

    ``carry`` takes a piece of audio as ``events`` would have yielded it, or returns False: then,
    like all else, it goes through ``events``. It may be called only while the session waits for
    the next event.
    """

    def hand_over_to(self, carry: Callable[[Json], bool]) -> None: ...
