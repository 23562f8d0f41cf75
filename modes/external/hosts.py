"""What the brain and the tools see of a call, and what their results become."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from brain.analysis import ActionRecord, Exchange
from brain.brain import SessionBrain
from brain.folio import Folio, Outcome, SectionName
from brain.host import Reply
from brain.journal import Journal
from brain.service import BrainCounts
from modes.external.state import CallState, Json, ToolEnded, What


log = structlog.get_logger()

HEARD_POLL_S = 0.25
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
        language: str,
        happen: Callable[[What, Any], None],
        tell: Callable[[Json], None],
        journal: Journal,
        counts: BrainCounts,
    ) -> None:
        self._state = state
        self._clock = clock
        self._language = "en" if language.lower().startswith("en") else "es"
        self._happen = happen
        self._tell = tell
        self._journal = journal
        self._counts = counts
        self.brain: SessionBrain | None = None
        self.records: list[ActionRecord] = []
        """What ran in the caller's name."""
        self._free = asyncio.Event()
        self._free.set()

    # -- for the brain ------------------------------------------------------------------------

    def history(self) -> tuple[Exchange, ...]:
        return self._state.conversation.exchanges(self._clock())

    def prompt(self) -> str:
        return self._state.context.base

    def actions(self) -> tuple[ActionRecord, ...]:
        return tuple(self.records)

    async def heard(self, item_id: str) -> str:
        """Wait until an item has been heard, or was cut, or is gone."""
        while True:
            item = self._state.conversation.get(item_id)
            if item is None:
                return ""
            left_s = item.ends_s - self._clock()
            if left_s <= 0 or not item.audio_ms:
                return item.heard(self._clock())
            await asyncio.sleep(min(left_s, HEARD_POLL_S))

    async def answered(self) -> None:
        await self._free.wait()

    def note_answered(self) -> None:
        """Look whether a turn still waits for its ``response.create``."""
        if self._state.waiting or "answer" in self._state.wishes:
            self._free.clear()
        else:
            self._free.set()

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        return self._state.context.in_force(section)

    def offer(self, folio: Folio) -> None:
        self._happen("offered", folio)

    def withdraw(self, folio_id: str, reason: str) -> None:
        self._happen("withdrawn", (folio_id, reason))

    def tell(self, event: Json) -> None:
        if event["type"] == "penny.tool_call":
            self._counts.actions[event["status"]] += 1
        self._tell(event)

    # -- what the brain and the journal are told ------------------------------------------------

    def find(self, wanted: tuple[str, int, str]) -> tuple[str, Folio | None]:
        """Facts for a turn's words; whatever is wrong with them, the caller gets an answer."""
        item_id, turn, words = wanted
        try:
            if self.brain is not None and words:
                found = self.brain.find_facts(words, item_id, turn, self._state.now_s)
                return item_id, found
        except Exception:
            log.exception("facts_failed")
        return item_id, None

    def partial(self, about: tuple[str, str, int]) -> None:
        if self.brain is not None:
            self.brain.partial(*about)

    def final(self, about: tuple[str, str, int, float]) -> None:
        item_id, words, turn, _ = about
        self._journal.write("turn", turn=turn, item_id=item_id, caller=words)
        if self.brain is not None:
            self.brain.final(*about)

    def reply(self, about: tuple[Reply, Json | None, bool]) -> None:
        reply, usage, is_filler = about
        self._journal.write(
            "reply",
            turn=reply.turn,
            response_id=reply.response_id,
            status=reply.status,
            penny=reply.text,
            usage=usage,
        )
        if self.brain is not None and not is_filler:
            self.brain.replied(reply)

    def outcome(self, outcome: Outcome) -> None:
        if self.brain is not None:
            self.brain.outcome(outcome)

    def note(self, about: tuple[str, Json]) -> None:
        self._journal.write(about[0], **about[1])

    def refusal(self, about: tuple[str, Json]) -> None:
        log.warning("speaker_refuses", kind=about[0], **about[1])
        self.note(about)

    # -- for the tools ------------------------------------------------------------------------

    def tool_ended(self, event: ToolEnded) -> None:
        self._happen("tool", event)

    def turn_id(self) -> str:
        """The caller's newest item; '' before the first."""
        return self._state.conversation.newest_turn_id()

    def summarise(self) -> str:
        """The folio in force and the last turns, for a person who takes over."""
        folios = self._state.context.in_force("folio")
        body = folios[-1].body if folios else {}
        lines = [str(body["user_intent"])] if body.get("user_intent") else []
        lines += [f"{name}: {value}" for name, value in (body.get("relevant_data") or {}).items()]
        now_s, conversation = self._clock(), self._state.conversation
        turn = conversation.turn
        recent = list(conversation.exchanges(now_s)[-SUMMARY_TURNS:])
        said, replied = conversation.words_of(turn), conversation.reply_of(turn, now_s)
        recent.append(Exchange(turn, said, replied))
        who = "Caller" if self._language == "en" else "Cliente"
        for each in recent:
            lines += [f"{who}: {each.caller}"] if each.caller else []
            lines += [f"Penny: {each.penny}"] if each.penny else []
        return "\n".join(lines)
