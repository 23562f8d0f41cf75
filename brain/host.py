"""What a brain is attached to, what it observes, and what its session asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from brain.analysis import ActionRecord, Exchange
from brain.folio import Folio, SectionName
from config.brain import BrainSection, Depth


if TYPE_CHECKING:
    from penny.tracing.trace import Trace

Json = dict[str, Any]


class BrainHost(Protocol):
    """The conversation the brain is attached to."""

    def history(self) -> tuple[Exchange, ...]:
        """Finished turns, with what was heard."""
        ...

    def prompt(self) -> str:
        """The speaker's own instructions now, without Penny's rules."""
        ...

    def actions(self) -> tuple[ActionRecord, ...]:
        """What ran in the caller's name, with its result; newest last."""
        ...

    async def heard(self, item_id: str) -> str:
        """The words of an item that were heard, once its playback ended or was cut; "" if none."""
        ...

    async def answered(self) -> None:
        """Wait until every turn that ended has its ``response.create``."""
        ...

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        """The section's folios in force or on their way, oldest first."""
        ...

    def offer(self, folio: Folio) -> None: ...

    def withdraw(self, folio_id: str, reason: str) -> None:
        """Have a folio leave the speaker's context."""
        ...

    def tell(self, event: Json, /) -> None:
        """Pass a ``penny.*`` event on to the session."""
        ...

    def note(self, kind: str, **fields: object) -> None:
        """Tell ``penny.note``, which no client sees: it is kept with the call."""
        ...


@dataclass(frozen=True, slots=True)
class BrainProfile:
    """What a session asked of its brain.

    ``ref``: its collection; ``settings``: with the session's wishes; ``session``: context, actions.
    """

    language: str
    ref: str
    depth: Depth
    model: str
    settings: BrainSection
    session: Json = field(default_factory=dict)
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of the speaker that has ended (completed, cancelled, incomplete or failed).

    ``words``: the caller's; ``text``: as generated; ``in_force``: ids of folios at its creation;
    ``earlier``: its messages before ``item_id``.
    """

    item_id: str
    response_id: str
    turn: int
    words: str
    text: str
    status: str
    in_force: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
