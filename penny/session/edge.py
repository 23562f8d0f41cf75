"""The inner seam, caller's side: an edge is where a caller comes from.

An edge turns what its carrier brings (a socket, a phone line) into Realtime client events and
plays Realtime server events to the caller. It owns playback: only it knows what was heard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol


Json = dict[str, Any]


class Edge(Protocol):
    name: str
    end_reason: str
    """Why this caller's events ended: ``client_ended`` (said goodbye) or ``client_gone``."""

    def events(self) -> AsyncIterator[Json]:
        """Realtime client events of the caller until they hang up."""
        ...

    async def deliver(self, event: Json) -> None:
        """Take one Realtime server event (or ``penny.*`` event) for the caller."""
        ...

    async def aclose(self, reason: str, totals: Json) -> None:
        """Say goodbye in the carrier's words and close. Idempotent."""
        ...
