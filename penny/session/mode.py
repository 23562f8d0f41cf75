"""The inner seam, answering side: a mode connects a session to a speaker.

A speaker speaks the OpenAI Realtime GA vocabulary as plain JSON objects: what is sent to it are
Realtime client events, what comes from it are Realtime server events (plus ``penny.*`` events
from Penny's own). Audio is base64 of mono PCM16 at 24 000 Hz inside those events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from penny.errors import SpeakerLost


if TYPE_CHECKING:
    from penny.tracing.trace import Trace


Json = dict[str, Any]

WORKER_FULL = "worker_full"
"""Code of a ModeUnavailable: what answers has no place until another session ends."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Which languages a mode's ears know ("*" is every one), and of which of them they know the
    documents' questions alone (``closed_set``)."""

    languages: tuple[str, ...]
    closed_set: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a mode can talk now; when not, why and what an operator does about it.

    ``reason`` and ``remedy`` are ``penny.localized.Localized`` where callers are shown them.
    ``hears`` is None where that is not known before a session.
    """

    available: bool
    reason: str = ""
    remedy: str = ""
    notice: dict[str, str] = field(default_factory=dict)
    hears: Hearing | None = None


def _tell_nobody(_event: Json) -> None:
    return None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One process that a mode's sessions run on, for the operator: ``detail`` is a short phrase."""

    name: str
    state: str
    detail: str = ""


@runtime_checkable
class HasWorkers(Protocol):
    """A mode, or a source of workers, that can tell which ones it has."""

    def workers(self) -> list[WorkerState]: ...


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another mode that a caller may be moved to: how it opens (raises ModeUnavailable), and what
    they are told: a ``warning``, and where their words go from then on (``privacy``)."""

    open: Callable[[], Awaitable[Speaker]]
    warning: str
    mode: str
    privacy: str


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a caller asked for, checked and complete: all a mode needs to open a speaker.

    ``portavoz``, ``cerebro`` and ``context`` are the specification's objects, validated.
    ``language`` is the one to speak; ``fixed_language`` is set only when the caller named one,
    else the ears may find another. ``history`` seeds the conversation (GA items) when a session
    moves between modes. ``transcripts``: whether the edge needs the caller's words from the start
    (a Realtime client asks for them itself). ``holds_playback``: whether the edge paces what is
    heard and can hold it (``penny.playback.held`` and ``.resumed``). ``session``: Realtime
    session fields that the edge wants set when the speaker opens, over the mode's own. ``tell``
    hears of a wait while the speaker opens: ``penny.progress`` events with ``stage``, ``message``
    and ``eta_ms``. ``trace``: the session's, where it is traced.
    ``patience_s``: after so long the edge would rather open another mode; None waits as long as
    the mode does. ``elsewhere`` is that other mode, for a session that has begun before its own
    could answer; None where the caller may not be moved.
    """

    session_id: str
    language: str
    fixed_language: str = ""
    instructions: str = ""
    voice: str = ""
    transcripts: bool = True
    holds_playback: bool = True
    session: Json = field(default_factory=dict)
    portavoz: Json = field(default_factory=dict)
    cerebro: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
    tenant: str = "default"
    history: tuple[Json, ...] = ()
    patience_s: float | None = None
    tell: Callable[[Json], None] = _tell_nobody
    elsewhere: Elsewhere | None = None
    trace: Trace | None = None

    @property
    def kind(self) -> str:
        """``realtime``, or ``transcription``: the caller is heard and nothing answers."""
        return str(self.session.get("type") or "realtime")


@runtime_checkable
class TakesHints(Protocol):
    """A speaker that can be told something beside the conversation; the caller hears nothing."""

    def hint(self, text: str, /) -> None:
        """Let what answers know ``text`` from its next answer on; a newer one replaces it."""
        ...


class SpeakerSink(Protocol):
    """Where a speaker's events go; given by the session to ``Speaker.start``.

    Both are called in the loop, in order, and never block. They may call back into the speaker:
    an event can make the caller's side send another before ``on_event`` returns.
    """

    def on_event(self, event: Json, /) -> None:
        """Take one Realtime server event, or a ``penny.*`` event of Penny's own."""
        ...

    def on_closed(self, error: SpeakerLost | None, /) -> None:
        """No more events come: once, last. ``error`` is None after an orderly end."""
        ...


class Speaker(Protocol):
    """An open connection to what talks back. Frames are pushed, both ways, without a task."""

    info: Json
    """What this speaker is: ``model``, ``voice``, ``notice`` …, shown in session_started."""

    @property
    def is_full(self) -> bool:
        """Whether what waits to be sent is over the mark: then ``drain`` waits."""
        ...

    def start(self, sink: SpeakerSink) -> None:
        """Begin to deliver events, once. What came before is delivered in order, in this call."""
        ...

    def send(self, event: Json) -> None:
        """Take a Realtime client event into a bounded buffer; before ``start`` too.

        Raises:
            SpeakerLost: the connection is gone, or takes nothing and the buffer is full.
        """
        ...

    async def drain(self) -> None:
        """Wait until the buffer is under the mark; at once where it is. Raises SpeakerLost."""
        ...

    async def aclose(self) -> None:
        """Close the connection; no event is delivered afterwards. Idempotent."""
        ...


@runtime_checkable
class Settles(Protocol):
    """A speaker that may have used more than it has told when its session ends."""

    async def settle(self) -> list[Json]:
        """Stop what still runs; returns the events that meter it. Before ``aclose``, once."""
        ...


class Mode(Protocol):
    """What can talk back: opens one Speaker for each session."""

    name: str

    def availability(self) -> Availability: ...

    async def open(self, spec: SessionSpec) -> Speaker:
        """Connect. Raises ModeUnavailable with the remedy."""
        ...

    async def start(self) -> None:
        """Start what the mode keeps running between sessions (a worker process, a pool)."""
        ...

    async def aclose(self) -> None: ...
