"""What brain and tools see of a call, and what their results become."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import structlog

from brain.actions import SEARCH_TOOL, ActionDesk
from brain.analysis import ActionRecord, Exchange
from brain.brain import SessionBrain
from brain.folio import Folio, Outcome, SectionName
from brain.render import render_result
from brain.texts import texts_of
from brain.tool_desk import ActionRunner, ToolDesk
from modes.external.state import CallState, Json, Run, ToolEnded, What
from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.tracing.attributes import Attributes
from penny.tracing.current import span
from penny.writable import dump_json


if TYPE_CHECKING:
    from penny.tracing.trace import Trace

log = structlog.get_logger()

Observed = Literal["partial", "final", "replied", "outcome"]
"""Methods of a brain by which it observes a call."""

OBSERVER = "observer"
"""Source of a hint: no folio of the brain's, which counts its own."""
HEARD_POLL_S = 0.25
ANSWERED_POLL_S = 0.02
SUMMARY_TURNS = 6
LATE_TURNS = 2
"""A late result is in the speaker's context for so many turns more."""


def pending_output(language: str) -> str:
    """What a call is answered with while it runs."""
    return dump_json({"status": "in_progress", "message": texts_of(language)["pending"]}).decode()


class CallHost:
    """The brain's (``BrainHost``) and the tools' side of one call. ``session``: what an action is
    told of the call (``language`` …); ``counts``: of actions by status."""

    happen: Callable[[What, Any], None]
    """Takes an event of the call's reducer."""
    tell: Callable[[Json], None]
    """Passes an event on to the session."""

    def __init__(
        self,
        state: CallState,
        clock: Callable[[], float],
        actions: ActionDesk,
        runner: ActionRunner,
        session: Json,
        counts: Counter[str],
        trace: Trace | None,
    ) -> None:
        self.state, self.clock = state, clock
        self.brain: SessionBrain | None = None
        self._names = {SEARCH_TOOL, *actions.actions}
        self._counts, self._trace = counts, trace
        self._language: str = session["language"]
        self._desk = ToolDesk(
            actions, runner, self.look_up, self._tell_tool, self.summarise, session
        )
        self._tasks = TaskOwner("tools")

    def history(self) -> tuple[Exchange, ...]:
        return self.state.conversation.exchanges(self.clock())

    def prompt(self) -> str:
        return self.state.context.base

    def actions(self) -> tuple[ActionRecord, ...]:
        return tuple(self._desk.records)

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

    def hint(self, text: str) -> None:
        """Offer what an observer of the call has to say to the speaker."""
        turn = self.state.conversation.turn
        hint = Folio(new_id("folio"), "hint", "silent", text, turn, source=OBSERVER)
        self.happen("offered", hint)

    def withdraw(self, folio_id: str, reason: str) -> None:
        self.happen("withdrawn", (folio_id, reason))

    def note(self, kind: str, **fields: object) -> None:
        self.tell({"type": "penny.note", "note": kind, **fields})

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
        """Tell the brain, where there is one; of a hint it knows nothing."""
        if isinstance(about, Outcome) and about.folio.source == OBSERVER:
            return
        if self.brain is not None:
            getattr(self.brain, what)(*(about if isinstance(about, tuple) else [about]))

    async def look_up(self, query: str) -> Json:
        """What ``search_knowledge`` answers."""
        if self.brain is None:
            return {"status": "nothing_found"}
        return await self.brain.look_up(query)

    def summarise(self) -> str:
        """The folio in force and the last turns, for a person who takes over."""
        folios = self.in_force("folio")
        body = folios[-1].body if folios else {}
        lines = [str(body["user_intent"])] if body.get("user_intent") else []
        lines += [f"{name}: {value}" for name, value in (body.get("relevant_data") or {}).items()]
        conversation = self.state.conversation
        who = texts_of(self._language)["caller"]
        for each in conversation.exchanges(self.clock(), conversation.turn + 1)[-SUMMARY_TURNS:]:
            lines += [f"{who}: {each.caller}"] if each.caller else []
            lines += [f"Penny: {each.penny}"] if each.penny else []
        return "\n".join(lines)

    def run(self, wanted: Run) -> None:
        """Begin what the speaker calls; the reducer hears the result once."""
        # A name that the session does not have is the model's own words.
        name = wanted.name if wanted.name in self._names else "unknown"
        self._tasks.spawn(self._run(wanted, name), name=f"tool {name}")

    async def _run(self, wanted: Run, name: str) -> None:
        about: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": wanted.call_id,
        }
        title, item_id = f"execute_tool {name}", self.state.conversation.newest_turn_id()
        with span(self._trace, title, item_id=item_id, attributes=about) as running:
            asked = (wanted.call_id, wanted.name, wanted.arguments, wanted.turn, wanted.words)
            result = await self._desk.run(*asked)
            if running is not None:
                running.set({"penny.status": str(result.get("status") or "")})
        late = Folio(
            id=new_id("folio"),
            section="results",
            kind="speakable",
            text=render_result(name, result, self._language),
            turn=wanted.turn,
            based_on=wanted.item_id,
            body={"action": name, "result": result},
            source="action",
            expires_after_turns=LATE_TURNS,
        )
        self.happen("tool", ToolEnded(wanted.call_id, dump_json(result).decode(), late))

    def _tell_tool(self, event: Json) -> None:
        if event["type"] == "penny.tool_call":
            self._counts[event["status"]] += 1
        self.tell(event)

    async def leave_brain(self) -> None:
        brain, self.brain = self.brain, None
        if brain is not None:
            await brain.aclose()

    async def aclose(self) -> None:
        await self._tasks.aclose()
