"""Another mode's speaker as an upstream: where a call goes when its own speaker is dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from brain.placement import Placing
from modes.external.speaker import Json, Placement
from penny.errors import PennyError
from penny.session.mode import Mode, SessionSpec, Speaker


class PlainSpeaker:
    """Takes no placements: what goes on here is that mode's own business."""

    able: frozenset[Placing] = frozenset()

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self.info = speaker.info

    async def send(self, event: Json) -> None:
        await self._speaker.send(event)

    async def place(self, placement: Placement) -> None:
        """Raises PennyError: ``able`` is empty, so asking is a fault of the caller's."""
        raise PennyError("this speaker takes no placement", code="placement_unsupported")

    async def remove(self, placement_ids: Sequence[str]) -> None:
        return None

    async def seed(self, item: Json) -> None:
        await self._speaker.send({"type": "conversation.item.create", "item": item})

    def events(self) -> AsyncIterator[Json]:
        return self._speaker.events()

    async def aclose(self) -> None:
        await self._speaker.aclose()


async def open_plain(mode: Mode, spec: SessionSpec, seed: Sequence[Json]) -> PlainSpeaker:
    """Open ``mode`` with the conversation so far. Raises ModeUnavailable."""
    return PlainSpeaker(await mode.open(replace(spec, voice="", history=tuple(seed))))
