"""The port to a speech-to-speech provider. It knows nothing of any vendor.

What travels is the house's Realtime vocabulary. A provider of another kind (append channels
instead of items, a full-duplex stream instead of responses) translates in its own file, and what
it cannot do it declares in its ``Capabilities``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from penny.errors import PennyError, SpeakerLost
from penny.session.mode import Speaker, SpeakerSink


log = structlog.get_logger()

Json = dict[str, Any]
Act = Literal["append", "rewrite", "remove"]
Channel = Literal["silent", "speakable", "correction"]
"""What a note is for: to be known, to be said soon, to put a spoken mistake right."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a speaker can do.

    Args:
        appends: takes notes behind the conversation, and takes them out again.
        rewrites: its instructions can be replaced while it talks (else they are immutable).
        appended_as, rewritten_as: what the caller's side is told of a placement.
        answers_by_itself: full duplex: it decides when it speaks; there is no ``response.create``.
        truncates: forgets what of its item was not heard, when told.
        calls_tools: takes function tools.
        transcribes: tells the caller's words.
    """

    appends: bool = True
    rewrites: bool = True
    appended_as: str = "system_item"
    rewritten_as: str = "instructions"
    answers_by_itself: bool = False
    truncates: bool = True
    calls_tools: bool = True
    transcribes: bool = True


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


class UpstreamSpeaker(Speaker, Protocol):
    """A speaker whose context can be changed while it talks.

    ``info`` has ``model``, ``provider``, ``voice``, ``session`` (the effective session object) and
    ``expires_at`` (Unix seconds at which the provider ends it; None where it does not tell).
    """

    able: Capabilities

    def change(self, step: Step) -> None:
        """Bring a change of the context on its way. Raises SpeakerLost."""

    def seed(self, item: Json) -> None:
        """Add an item that the conversation already has, in place of one of that id that was
        seeded before; nothing of it is told outside. Raises SpeakerLost."""

    def unbilled(self) -> Sequence[Json]:
        """Usage events of what was used since the provider last told its usage."""


class SpeakerProvider(Protocol):
    """Opens upstreams."""

    name: str
    default_model: str
    able: Capabilities
    """Of the speakers it opens."""

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
        """Connect, configure, seed the conversation with GA items (their ids are kept). Raises
        ModeUnavailable, ``retryable`` if another attempt may help."""

    async def aclose(self) -> None: ...


class Translator(ABC):
    """An upstream on a speaker's connection: its events are translated on their way."""

    untouched: frozenset[str] = frozenset()
    """Types that pass as they are: audio, of which there are fifty pieces a second."""

    def __init__(self, speaker: Speaker, able: Capabilities = Capabilities()) -> None:
        self.info = speaker.info
        self.able = able
        self._speaker = speaker
        self._sink: SpeakerSink | None = None

    @property
    def is_full(self) -> bool:
        return self._speaker.is_full

    async def drain(self) -> None:
        await self._speaker.drain()

    def start(self, sink: SpeakerSink) -> None:
        self._sink = sink
        self._speaker.start(self)

    async def aclose(self) -> None:
        self._sink = None
        await self._speaker.aclose()

    def unbilled(self) -> Sequence[Json]:
        return ()

    @abstractmethod
    def translate(self, event: Json) -> Iterable[Json]:
        """What an event of the provider's means outside. SpeakerLost ends the connection."""

    def tell(self, event: Json) -> None:
        if self._sink is not None:
            self._sink.on_event(event)

    def on_event(self, event: Json, /) -> None:
        sink = self._sink
        try:
            if event["type"] in self.untouched:
                if sink is not None:
                    sink.on_event(event)
                return
            for shown in self.translate(event):
                self.tell(shown)
        except SpeakerLost as error:
            self.on_closed(error)
        except (PennyError, LookupError, TypeError, ValueError, AttributeError) as error:
            # A shape that was not known when this was written: passed over, never deaf.
            log.warning("upstream_event_not_understood", error=type(error).__name__)
            self.tell({"type": "penny.not_understood", "event_type": event["type"]})

    def on_closed(self, error: SpeakerLost | None, /) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.on_closed(error)
