"""The port to a speech-to-speech provider. It knows nothing of any vendor.

What travels is the house's Realtime vocabulary. A provider of another kind (append channels
instead of items, a full-duplex stream instead of responses) translates in its own file, and what
it cannot do it declares in its ``Capabilities``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from penny.errors import SpeakerLost


Json = dict[str, Any]
Act = Literal["append", "rewrite", "remove"]
Channel = Literal["silent", "speakable", "correction"]
"""What a note is for: to be known, to be said soon, to put a spoken mistake right."""

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
"""Errors that no second attempt mends."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a speaker can do.

    Args:
        appends: takes notes behind the conversation, and takes them out again.
        rewrites: its instructions can be replaced while it talks (else they are immutable).
        appended_as, rewritten_as: what the caller's side is told of a placement.
        max_note_chars: longest note in one piece; None where nothing limits it.
        answers_by_itself: full duplex: it decides when it speaks; there is no ``response.create``.
        truncates: forgets what of its item was not heard, when told.
        calls_tools: takes function tools.
        transcribes: tells the caller's words.
        bills_seconds: is paid by the second, silence included, and tells the seconds.
    """

    appends: bool = True
    rewrites: bool = True
    appended_as: str = "system_item"
    rewritten_as: str = "instructions"
    max_note_chars: int | None = None
    answers_by_itself: bool = False
    truncates: bool = True
    calls_tools: bool = True
    transcribes: bool = True
    bills_seconds: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the speaker's context, on its way.

    ``append``: ``text`` is one note. ``rewrite``: ``text`` is the whole context, in place of the
    old one. ``remove``: the notes of ``folios`` go. Each is answered in the event stream by
    ``penny.placed`` or ``penny.placement_refused`` with its id as ``step_id``.
    """

    id: str
    act: Act
    folios: tuple[str, ...]
    text: str = ""
    channel: Channel = "silent"
    urgent: bool = False


class UpstreamSink(Protocol):
    """Where an upstream brings what it hears from its provider."""

    def on_event(self, event: Json) -> None: ...

    def on_closed(self, error: SpeakerLost | None) -> None:
        """The connection ended. ``error``: why; not retryable where no other attempt helps."""
        ...


class UpstreamSpeaker(Protocol):
    """One open, configured connection: events go out in the order in which they were sent."""

    info: Json
    """``model``, ``provider``, ``voice``, ``session`` (the effective session object) and
    ``expires_at`` (Unix seconds at which the provider ends it; None where it does not tell)."""
    able: Capabilities

    def start(self, sink: UpstreamSink) -> None:
        """Begin to bring events. Once."""
        ...

    def send(self, event: Json) -> None:
        """Send a Realtime client event. Raises SpeakerLost."""
        ...

    def change(self, step: Step) -> None:
        """Bring a change of the context on its way. Raises SpeakerLost."""
        ...

    def seed(self, item: Json) -> None:
        """Add an item that the conversation already has; nothing of it is told outside.

        An item of that id that was seeded before is replaced. Raises SpeakerLost.
        """
        ...

    @property
    def is_full(self) -> bool:
        """Whether more is on its way out than the connection should hold."""
        ...

    async def drain(self) -> None:
        """Wait while more is on its way out than the connection should hold."""
        ...

    async def aclose(self) -> None: ...


class SpeakerProvider(Protocol):
    """Opens upstreams."""

    name: str
    default_model: str
    able: Capabilities
    """Of the speakers it opens."""

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
        """Connect, configure, seed the conversation with GA items (their ids are kept).

        Raises:
            ModeUnavailable: with ``retryable`` telling whether another attempt may help.
        """
        ...

    async def aclose(self) -> None: ...
