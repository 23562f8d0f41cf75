"""The port to a speech-to-speech provider. It knows nothing of any vendor.

What travels is the house's Realtime vocabulary. A provider of another kind (append channels
instead of items, say) translates in its own file; what it cannot do it declares in ``able``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from brain.placement import Placing


Json = dict[str, Any]

TERMINAL_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "beta_api_shape_disabled",
        "model_not_found",
    }
)
"""Errors that no second attempt mends (realtime-protocol.md, section 6, point 8)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A revision for the speaker's context.

    ``append``: ``text`` is one note, added behind the conversation. ``rewrite``: ``text`` is the
    whole context, in place of the old one. Either is answered in the event stream by
    ``penny.placed`` or ``penny.placement_refused`` with this ``placement_id``.
    """

    id: str
    placing: Placing
    text: str


class UpstreamSpeaker(Protocol):
    """One open, configured connection. Sends are serialised: there is one writer."""

    info: Json
    """``model``, ``provider``, ``voice``, ``session`` (the effective session object) and
    ``expires_at`` (Unix seconds at which the provider ends it; None where it does not tell)."""
    able: frozenset[Placing]

    async def send(self, event: Json) -> None:
        """Send a Realtime client event. Raises SpeakerLost."""
        ...

    async def place(self, placement: Placement) -> None:
        """Bring a revision on its way. Raises SpeakerLost."""
        ...

    async def remove(self, placement_ids: Sequence[str]) -> None:
        """Take appended notes out again; ids it does not know are ignored. Raises SpeakerLost."""
        ...

    async def seed(self, item: Json) -> None:
        """Add an item that the conversation already has; nothing of it is told outside.

        An item of that id that was seeded before is replaced. Raises SpeakerLost.
        """
        ...

    def events(self) -> AsyncIterator[Json]:
        """Server events; ends or raises SpeakerLost (not retryable: a terminal error)."""
        ...

    async def aclose(self) -> None: ...


class SpeakerProvider(Protocol):
    """Opens upstreams."""

    name: str

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
        """Connect, configure, seed the conversation with GA items (their ids are kept).

        Raises:
            ModeUnavailable: with ``retryable`` telling whether another attempt may help.
        """
        ...

    async def aclose(self) -> None: ...
