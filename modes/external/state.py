"""One EXTERNAL call as data: what happens to it, what it does (effects), what it knows.

Everything here is plain: the parts of the reducer share a ``CallState`` and none of them holds
another. Times are seconds on the loop's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from brain.folio import Folio
from modes.answers import OpenItem
from modes.external.context import DeclaredContext
from modes.external.conversation import Conversation
from modes.external.placing import Placer
from modes.external.session_view import SessionView
from modes.external.speaker import Capabilities


Json = dict[str, Any]

What = Literal[
    "caller", "upstream", "tick", "lost", "attached", "facts", "tool", "offered", "withdrawn"
]
"""What happens: a Realtime client event (its shape checked), a server event (or ``penny.placed``,
``penny.placement_refused``), a deadline; no upstream any more, another (``Capabilities``);
the answer to ``look_up`` (item, folio or None), a ``ToolEnded``, a folio, (folio id, reason)."""
Effect = tuple[str, Any]
"""What follows: ``send`` a client event, ``tell`` the session a server event, ``seed`` an item that
is another text now, ``apply`` a ``Step``, ``look_up`` facts (item, turn, words; answered at once),
``run`` a ``Run``, ``abandon`` the upstream (why); ``partial``, ``final``, ``replied``, ``outcome``
for the brain; ``refusal`` (kind, fields), which is logged, and ``not_understood`` (type of an
event)."""


Then: TypeAlias = "Callable[[CallState], None] | None"
"""What happens at a deadline; None only settles the state."""


@dataclass(frozen=True, slots=True)
class Run:
    """A tool's call, to be run once. ``words``: the caller's of this turn."""

    call_id: str
    item_id: str
    name: str
    arguments: str
    turn: int
    words: str


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool's result. ``late``: as a folio, for the case that its output was due before."""

    call_id: str
    output: str
    late: Folio | None = None


WishKind = Literal["client", "answer", "say", "filler"]


@dataclass(slots=True)
class Wish:
    """A response that is asked for and not yet created. ``client_event_id``: of the caller's side's
    own request; ``item_id``: the typed turn that it is to answer."""

    kind: WishKind
    params: Json | None = None
    client_event_id: str | None = None
    item_id: str = ""


@dataclass(slots=True)
class Slot:
    """The default conversation's one response: asked for, running, being cancelled, or none."""

    phase: Literal["idle", "requested", "active", "cancelling"] = "idle"
    wish: Wish | None = None
    """What it was asked for; None for one that the server began."""
    event_id: str = ""
    response_id: str = ""
    response: Json = field(default_factory=dict)
    """As it was created."""
    in_force: tuple[str, ...] = ()
    heard_from_s: float = 0.0
    """When its newest event came."""
    is_forced: bool = False
    """Cancelled by a watchdog: its answer is still owed."""
    items: dict[str, OpenItem] = field(default_factory=dict)
    """Not done yet."""
    output: list[Json] = field(default_factory=list)
    untold: Json | None = None
    """Its ``response.created``, until something of it shows."""

    @property
    def is_whole(self) -> bool:
        """It has said something, and all that began in it is done: only its end is to come."""
        return not self.items and any(raw["type"] == "message" for raw in self.output)


@dataclass(slots=True)
class Batch:
    """The calls of one response, answered all at once. ``outputs``: None while one runs."""

    outputs: dict[str, str | None] = field(default_factory=dict)
    is_whole: bool = False
    """The response has ended: no more calls come."""
    is_interrupted: bool = False
    is_due: bool = False
    """The speaker goes on now, with the results that are there."""
    wish: Wish | None = None
    """What its response was asked for, where nothing of it showed."""


@dataclass(slots=True)
class CallState:
    """All that one call knows; ``step`` alone changes it."""

    conversation: Conversation
    context: DeclaredContext
    placer: Placer
    view: SessionView
    new_id: Callable[[str], str]
    fillers: list[str] = field(default_factory=list)
    """Phrases for a silence, none of them twice."""
    pending_output: str = "{}"
    """What a tool's call is answered with when the result comes later."""
    say: str = "«{}»"
    """How a phrase is asked for word for word."""
    has_brain: bool = False
    facts_s: float = 0.06
    """Most time between the end of a turn and its ``response.create``; 0 looks up none."""
    filler_s: float = 1.5
    reply_s: float = 4.0
    """Of a running tool: when a filler is said, when the speaker goes on."""
    now_s: float = 0.0
    able: Capabilities | None = None
    """None while there is no upstream."""
    slot: Slot = field(default_factory=Slot)
    wishes: dict[WishKind, Wish] = field(default_factory=dict)
    deadlines: dict[str, tuple[float, Then]] = field(default_factory=dict)
    """Name -> when it is due, and what happens then."""
    effects: list[Effect] = field(default_factory=list)
    # the caller
    is_speaking: bool = False
    speech_item: str = ""
    speech_from_ms: float | None = None
    position_ms: float = 0.0
    """Caller's audio taken in so far."""
    buffer_from_ms: float = 0.0
    """Where what is neither committed nor cleared begins."""
    stopped: str = ""
    continued: str = ""
    """Speech whose audio the next upstream hears again."""
    typed: str = ""
    """The turn that was typed and not asked to be answered yet."""
    waiting: dict[str, Wish] = field(default_factory=dict)
    """Turns that wait for facts -> what is asked for then."""
    unanswered: str = ""
    """The newest item that is to be answered and has no response yet."""
    retried: str = ""
    refusals: int = 0
    # asides, requests and items of the caller's side
    asides: dict[str, Slot] = field(default_factory=dict)
    """Responses outside the conversation."""
    finished: deque[str] = field(default_factory=lambda: deque(maxlen=64))
    pending: dict[str, Json] = field(default_factory=dict)
    """Event id -> an update, or a request about an item, that has no answer yet."""
    asked_ms: dict[str, float] = field(default_factory=dict)
    """Event id of one about the audio (commit, clear) -> the audio that had come before it."""
    outbox: list[Json] = field(default_factory=list)
    """What waits for the next upstream."""
    # tools
    calls: dict[str, str] = field(default_factory=dict)
    """Call -> the response that made it."""
    batches: dict[str, Batch] = field(default_factory=dict)
    promised: set[str] = field(default_factory=set)
    """Calls that were answered before they had ended: their results come as folios."""
    unconfirmed: set[str] = field(default_factory=set)
    """Outputs that went up and were not seen in the conversation yet."""

    def do(self, effect: str, about: Any) -> None:
        self.effects.append((effect, about))

    def send(self, event: Json) -> None:
        self.do("send", event)

    def tell(self, kind: str, **fields: Any) -> None:
        """A server event of Penny's own making."""
        self.do("tell", {"type": kind, "event_id": self.new_id("event"), **fields})

    def wish(self, wish: Wish) -> None:
        """Wish for a response, unless one of its kind is wished for."""
        self.wishes.setdefault(wish.kind, wish)

    def set_due(self, name: str, seconds: float, then: Then = None) -> None:
        """Set a deadline, in place of one of that name."""
        self.deadlines[name] = (self.now_s + seconds, then)

    def drop_due(self, *names: str) -> None:
        for name in names:
            self.deadlines.pop(name, None)

    @property
    def turn(self) -> int:
        return self.conversation.turn

    @property
    def is_safe(self) -> bool:
        """No response is asked for or running."""
        return self.slot.phase == "idle"

    @property
    def is_quiet(self) -> bool:
        """The caller is silent and nothing is being answered or asked for."""
        busy = self.is_speaking or self.waiting or self.wishes
        return self.is_safe and not busy and self.now_s >= self.conversation.sounds_until_s
