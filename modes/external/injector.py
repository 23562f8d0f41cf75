"""Brings folios into the speaker's context: at safe points, one at a time, acknowledged.

A safe point is a moment without a response, requested or running. The next placement waits for
the answer to the one before; only same-turn facts go straight through, because they stand on the
same ordered connection in front of the ``response.create`` that needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from brain.desk import FolioDesk
from brain.folio import Folio
from brain.journal import Journal
from brain.placement import (
    HistoryLength,
    PlacementCost,
    Policy,
    choose_placement,
    count_tokens,
    notes_to_prune,
)
from config.prices import TokenPrices
from modes.external.speaker import Placement, UpstreamSpeaker
from penny.errors import SpeakerLost


log = structlog.get_logger()

Json = dict[str, Any]

PLACEMENT_NAMES = {"append": "system_item", "rewrite": "instructions"}


class Ground(Protocol):
    """What the injector needs to know of the call."""

    @property
    def upstream(self) -> UpstreamSpeaker | None: ...

    def is_safe(self) -> bool:
        """No response is requested or running."""
        ...


@dataclass(frozen=True, slots=True)
class InjectorSettings:
    policy: Policy
    max_notes: int
    prices: TokenPrices | None


class Injector:
    """One per session.

    Args:
        on_placed: told each folio that is acknowledged.
        clock: the loop's, seconds.
    """

    def __init__(
        self,
        desk: FolioDesk,
        ground: Ground,
        settings: InjectorSettings,
        journal: Journal,
        on_placed: Callable[[Folio], None],
        clock: Callable[[], float],
    ) -> None:
        self.desk = desk
        self._ground = ground
        self._settings = settings
        self._journal = journal
        self._on_placed = on_placed
        self._clock = clock
        self._lock = asyncio.Lock()
        self._waits_for = ""
        self._notes: dict[str, int] = {}
        """Appended folio -> its tokens, oldest first."""
        self._text_tokens = self._audio_tokens = 0

    # -- placing ------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Place what waits, if this is a safe point and nothing is under way."""
        async with self._lock:
            if self._waits_for or not self._ground.is_safe():
                return
            folio = self.desk.due()
            if folio is not None:
                self._waits_for = folio.id
                await self._place(folio)

    async def place_now(self, folio: Folio) -> None:
        """Place same-turn facts without waiting for anything."""
        if self.desk.offer(folio, self._clock()):
            await self._place(folio)

    async def _place(self, folio: Folio) -> None:
        upstream = self._ground.upstream
        if upstream is None or not upstream.able:
            self._waits_for = ""
            return  # it stays queued: the next upstream's context has it
        cost = self._choose(folio, upstream)
        self.desk.sent(folio, PLACEMENT_NAMES[cost.placing], self._clock())
        folio.usd += cost.usd
        whole = self.desk.context.render()
        text = folio.text if cost.placing == "append" else whole
        self._journal.write(
            "placement",
            folio_id=folio.id,
            placing=cost.placing,
            reason=cost.reason,
            append_usd=round(cost.append_usd, 6),
            rewrite_usd=round(cost.rewrite_usd, 6),
            revision=folio.revision,
            text=folio.text,
        )
        try:
            await upstream.place(Placement(folio.id, cost.placing, text))
            if cost.placing == "append":
                self._notes[folio.id] = count_tokens(folio.text)
                await self._prune(upstream)
        except SpeakerLost:
            self._waits_for = ""  # the reading side sees to the loss; a seed will carry it

    def _choose(self, folio: Folio, upstream: UpstreamSpeaker) -> PlacementCost:
        stale = sum(tokens for key, tokens in self._notes.items() if key in folio.supersedes)
        history = HistoryLength(self._text_tokens, self._audio_tokens, stale)
        policy: Policy = "append" if folio.section == "facts" else self._settings.policy
        return choose_placement(
            policy,
            folio.text,
            history,
            self._settings.prices,
            strong=folio.strong,
            able=upstream.able,
        )

    async def _prune(self, upstream: UpstreamSpeaker) -> None:
        old = notes_to_prune(list(self._notes), self._settings.max_notes)
        if old:
            for folio_id in old:
                del self._notes[folio_id]
            self._journal.write("notes_pruned", notes=len(old))
            await upstream.remove(old)

    # -- what comes back ----------------------------------------------------------------------

    def placed(self, folio_id: str) -> None:
        folio = self.desk.acknowledged(folio_id, self._clock())
        self._release(folio_id)
        if folio is not None:
            self._on_placed(folio)

    def refused(self, folio_id: str, code: str | None, message: str | None) -> None:
        log.warning("placement_refused", folio_id=folio_id, code=code, reason=message)
        self._notes.pop(folio_id, None)
        self.desk.refused(folio_id, self._clock())
        self._journal.write("placement_refused", folio_id=folio_id, code=code)
        self._release(folio_id)

    def _release(self, folio_id: str) -> None:
        if self._waits_for == folio_id:
            self._waits_for = ""

    def note_usage(self, usage: Json) -> None:
        """The real length of the history, from the newest response."""
        details = usage.get("input_token_details") or {}
        self._text_tokens = details.get("text_tokens") or 0
        self._audio_tokens = details.get("audio_tokens") or 0

    def upstream_replaced(self) -> None:
        """The new one was opened with the whole context in its instructions and no notes."""
        self._waits_for = ""
        self._notes.clear()
        self._text_tokens = self._audio_tokens = 0
        self.desk.upstream_replaced(self._clock())
