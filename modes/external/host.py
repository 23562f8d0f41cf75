"""What the brain and the tools see of a call, and what their results become."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import structlog

from brain.analysis import ActionRecord, Exchange
from brain.brain import SessionBrain
from brain.folio import Folio, SectionName
from modes.external.state import CallState, Json, What


log = structlog.get_logger()

Observed = Literal["partial", "final", "replied", "outcome"]
"""Methods of a brain by which it observes a call."""

HEARD_POLL_S = 0.25
ANSWERED_POLL_S = 0.02
SUMMARY_TURNS = 6


class CallHost:
    """The brain's and the tools' side of one call (``BrainHost``).

    Args:
        happen: takes an event of the call's reducer.
        tell: passes an event on to the session.
    """

    def __init__(
        self,
        state: CallState,
        clock: Callable[[], float],
        happen: Callable[[What, Any], None],
        tell: Callable[[Json], None],
    ) -> None:
        self.state = state
        self.clock = clock
        self.happen = happen
        self.tell = tell
        self.brain: SessionBrain | None = None
        self.records: list[ActionRecord] = []
        """What ran in the caller's name, or was refused; newest last."""

    # -- for the brain ------------------------------------------------------------------------

    def history(self) -> tuple[Exchange, ...]:
        return self.state.conversation.exchanges(self.clock())

    def prompt(self) -> str:
        return self.state.context.base

    def actions(self) -> tuple[ActionRecord, ...]:
        return tuple(self.records)

    async def heard(self, item_id: str) -> str:
        """Wait until an item has been heard, or was cut, or is gone."""
        while True:
            item = self.state.conversation.get(item_id)
            if item is None:
                return ""
            left_s = item.ends_s - self.clock()
            if left_s <= 0 or not item.audio_ms:
                return item.heard(self.clock())
            await asyncio.sleep(min(left_s, HEARD_POLL_S))

    async def answered(self) -> None:
        while self.state.waiting or "answer" in self.state.wishes:  # noqa: ASYNC110
            await asyncio.sleep(ANSWERED_POLL_S)

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        return self.state.context.in_force(section)

    def offer(self, folio: Folio) -> None:
        self.happen("offered", folio)

    def withdraw(self, folio_id: str, reason: str) -> None:
        self.happen("withdrawn", (folio_id, reason))

    def note(self, kind: str, **fields: object) -> None:
        self.tell({"type": "penny.note", "note": kind, **fields})

    # -- what the brain is told -----------------------------------------------------------------

    def find(self, wanted: tuple[str, int, str]) -> tuple[str, Folio | None]:
        """Facts for a turn's words; whatever is wrong with them, the caller gets an answer."""
        item_id, turn, words = wanted
        try:
            if self.brain is not None and words:
                return item_id, self.brain.find_facts(words, item_id, turn, self.state.now_s)
        except Exception:
            log.exception("facts_failed")
        return item_id, None

    def observe(self, what: Observed, about: Any) -> None:
        """Tell the brain, where there is one."""
        if self.brain is not None:
            getattr(self.brain, what)(*(about if isinstance(about, tuple) else [about]))

    # -- for the tools ------------------------------------------------------------------------

    async def look_up(self, query: str) -> Json:
        """What ``search_knowledge`` answers."""
        if self.brain is None:
            return {"status": "nothing_found"}
        return await self.brain.look_up(query)

    def summarise(self, language: str) -> str:
        """The folio in force and the last turns, for a person who takes over."""
        folios = self.in_force("folio")
        body = folios[-1].body if folios else {}
        lines = [str(body["user_intent"])] if body.get("user_intent") else []
        lines += [f"{name}: {value}" for name, value in (body.get("relevant_data") or {}).items()]
        conversation = self.state.conversation
        who = "Caller" if language == "en" else "Cliente"
        for each in conversation.exchanges(self.clock(), conversation.turn + 1)[-SUMMARY_TURNS:]:
            lines += [f"{who}: {each.caller}"] if each.caller else []
            lines += [f"Penny: {each.penny}"] if each.penny else []
        return "\n".join(lines)
