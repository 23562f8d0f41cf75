"""The inner seam, caller's side: an edge is where a caller comes from.

An edge turns what its carrier brings (a socket, a phone line) into Realtime client events and
plays Realtime server events to the caller. It owns playback: only it knows what was heard.
"""

from __future__ import annotations

from typing import Any, Protocol


Json = dict[str, Any]


class EdgeSink(Protocol):
    """Where a caller's events go; given by the session to ``Edge.start``.

    Called in the loop, in order; neither blocks or raises.
    """

    def on_event(self, event: Json, /) -> None:
        """Take one Realtime client event."""
        ...

    def on_closed(self) -> None:
        """The caller hung up or is gone, once: ``Edge.end_reason`` tells which."""
        ...


class Edge(Protocol):
    """One caller. Frames are pushed, both ways, without a task."""

    name: str
    end_reason: str
    """Why this caller's events ended: ``client_ended`` (said goodbye), ``client_gone`` or
    ``client_does_not_read``."""

    def start(self, sink: EdgeSink) -> None:
        """Begin to deliver the caller's events, once."""
        ...

    def deliver(self, event: Json) -> None:
        """Take one Realtime server event (or ``penny.*`` event) for the caller.

        It never waits: what the caller is slow to take is the edge's to keep, and to bound.
        """
        ...

    def pause(self) -> None:
        """Read no more from the caller until ``resume``: the speaker is behind. Idempotent."""
        ...

    def resume(self) -> None:
        """Read again. Idempotent."""
        ...

    async def aclose(self, reason: str, totals: Json) -> None:
        """Say goodbye in the carrier's words and close. Idempotent."""
        ...
