"""What a brain is attached to, and what its session asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from brain.analysis import Exchange
from brain.folio import Folio
from brain.schedule import ScheduleSettings
from config.brain import Depth


Json = dict[str, Any]


class BrainHost(Protocol):
    """The conversation the brain is attached to."""

    def history(self) -> tuple[Exchange, ...]:
        """Finished turns, with what was heard."""
        ...

    async def heard(self, item_id: str) -> str:
        """The words of an item that were heard, once its playback ended or was cut."""
        ...

    async def answered(self) -> None:
        """Wait until no turn waits for its ``response.create``."""
        ...

    def in_force(self) -> Json | None: ...

    def offer(self, folio: Folio) -> None: ...

    def tell(self, event: Json) -> None:
        """Pass a ``penny.*`` event on."""
        ...


@dataclass(frozen=True, slots=True)
class BrainProfile:
    """What this session asked of its brain."""

    language: str
    ref: str
    depth: Depth
    model: str
    schedule: ScheduleSettings
    session: Json = field(default_factory=dict)
