"""Runs what the speaker calls, in tasks. The reducer delivers the results."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from brain.action_runner import ActionRunner
from brain.actions import SEARCH_TOOL, ActionDesk
from brain.folio import Folio
from brain.render import render_result
from brain.tool_desk import ToolDesk
from modes.external.host import CallHost
from modes.external.state import Json, Run, ToolEnded
from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.localized import language_of
from penny.tracing.attributes import Attributes
from penny.tracing.current import span
from penny.writable import dump_json


if TYPE_CHECKING:
    from penny.tracing.trace import Trace

LATE_TURNS = 2
"""A late result is in the speaker's context for so many turns more."""
PENDING = {
    "es": "Sigue en curso; el resultado llegará como [RESULTADO]. No lo des por hecho.",
    "en": "Still in progress; the result will come as [RESULT]. Do not take it for done.",
}


def pending_output(language: str) -> str:
    """What a call is answered with while it runs."""
    return dump_json({"status": "in_progress", "message": PENDING[language_of(language)]}).decode()


class ToolRuns:
    """The tools of one call.

    Args:
        session: what an action is told of the call (``language`` …).
        counts: of actions by status.
    """

    def __init__(
        self,
        desk: ActionDesk,
        runner: ActionRunner,
        session: Json,
        counts: Counter[str],
        host: CallHost,
        trace: Trace | None = None,
    ) -> None:
        self._names = {SEARCH_TOOL, *desk.actions}
        self._host = host
        self._trace = trace
        self._language = language_of(session["language"])
        self._counts = counts
        summarise = partial(host.summarise, self._language)
        self._desk = ToolDesk(desk, runner, host.look_up, self._tell, summarise, session)
        host.records = self._desk.records
        self._tasks = TaskOwner("tools")

    def run(self, wanted: Run) -> None:
        """Begin; the call hears the result once."""
        # A name that the session does not have is the model's own words.
        name = wanted.name if wanted.name in self._names else "unknown"
        self._tasks.spawn(self._run(wanted, name), name=f"tool {name}")

    def _tell(self, event: Json) -> None:
        if event["type"] == "penny.tool_call":
            self._counts[event["status"]] += 1
        self._host.tell(event)

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _run(self, wanted: Run, name: str) -> None:
        about: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": wanted.call_id,
        }
        title, item_id = f"execute_tool {name}", self._host.state.conversation.newest_turn_id()
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
        self._host.happen("tool", ToolEnded(wanted.call_id, dump_json(result).decode(), late))
