"""Runs what the speaker calls: searches and actions. The reducer delivers the results."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from brain.action_runner import ActionFailed, ActionRunner
from brain.actions import SEARCH_TOOL, ActionCall, ActionDesk, Judged
from brain.analysis import ActionRecord
from brain.folio import Folio
from brain.quoting import quote_json
from brain.render import render_result
from modes.external.host import CallHost
from modes.external.state import Run, ToolEnded
from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.localized import language_of
from penny.tracing.attributes import Attributes
from penny.tracing.current import span
from penny.writable import dump_json


if TYPE_CHECKING:
    from penny.tracing.trace import Trace

log = structlog.get_logger()

Json = dict[str, Any]

LATE_TURNS = 2
"""A late result is in the speaker's context for so many turns more."""
IN_DOUBT = frozenset({"timeout", "connection"})
"""Failures after which it may have been done all the same."""
PENDING = {
    "es": "Sigue en curso; el resultado llegará como [RESULTADO]. No lo des por hecho.",
    "en": "Still in progress; the result will come as [RESULT]. Do not take it for done.",
}
GOODBYE = {
    "es": "Una persona toma la llamada; despídete.",
    "en": "A person takes the call; say goodbye.",
}


def pending_output(language: str) -> str:
    """What a call is answered with while it runs."""
    return dump_json({"status": "in_progress", "message": PENDING[language_of(language)]}).decode()


class ToolRuns:
    """The tools of one call.

    Args:
        session: what an action is told of the call (``session_id``, ``language`` …).
        counts: of actions by status.
    """

    def __init__(
        self,
        desk: ActionDesk,
        runner: ActionRunner,
        session: Json,
        counts: Counter[str],
        trace: Trace | None = None,
    ) -> None:
        self._desk = desk
        self._runner = runner
        self._session = session
        self._counts = counts
        self._trace = trace
        self._language = language_of(session["language"])
        self._tasks = TaskOwner("tools")
        self._results: dict[str, asyncio.Task[Json]] = {}

    def run(self, wanted: Run, host: CallHost) -> None:
        """Begin; the call hears the result once."""
        judged = self._desk.judge(
            wanted.call_id, wanted.name, wanted.arguments, wanted.turn, wanted.words
        )
        # A name that the session does not have is the model's own words.
        name = wanted.name if wanted.name in {SEARCH_TOOL, *self._desk.actions} else "unknown"
        running = self._execute(judged, wanted, name, host)
        self._results[wanted.call_id] = self._tasks.spawn(running, name=f"tool {name}")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _execute(self, judged: Judged, wanted: Run, name: str, host: CallHost) -> Json:
        about: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": wanted.call_id,
        }
        title, item_id = f"execute_tool {name}", host.state.conversation.newest_turn_id()
        result: Json = {"status": "error", "code": "tool_failed"}
        try:
            with span(self._trace, title, item_id=item_id, attributes=about) as running:
                result = await self._run(judged, host)
                if running is not None:
                    running.set({"penny.status": str(result.get("status") or "")})
        except Exception:
            log.exception("tool_failed", tool=name)  # whatever it is: the speaker gets an answer
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
        host.happen("tool", ToolEnded(wanted.call_id, dump_json(result).decode(), late))
        return result

    async def _run(self, judged: Judged, host: CallHost) -> Json:
        call = judged.call
        if judged.verdict == "repeated":
            host.journal.write("tool_repeated", call_id=call.call_id)
            first = self._results.get(judged.first_call_id)
            if first is not None:
                return await asyncio.shield(first)
        if judged.verdict != "run":
            self._note(host, call, "refused", message=judged.message, reason=judged.verdict)
            status = "confirmation_required" if judged.verdict == "confirm_first" else "error"
            return {"status": status, "message": judged.message}
        if call.name == SEARCH_TOOL:
            query = str(call.arguments["query"])
            brain = host.brain
            return {"status": "nothing_found"} if brain is None else await brain.look_up(query)
        return await self._act(call, host)

    async def _act(self, call: ActionCall, host: CallHost) -> Json:
        self._note(host, call, "started")
        action = self._desk.actions[call.name]
        if action.handoff is not None:
            host.tell(
                {
                    "type": "penny.handoff",
                    "summary": host.summarise(self._language),
                    "reason": call.arguments.get("motivo") or call.arguments.get("reason"),
                    "destination": action.handoff,
                    "details": {"arguments": call.arguments},
                }
            )
            self._note(host, call, "completed", result={"status": "ok"})
            return {"status": "ok", "message": GOODBYE[self._language]}
        try:
            result = await self._runner.run(action, call, self._session)
        except ActionFailed as failure:
            log.warning("action_failed", action=call.name, code=failure.code)
            if failure.code in IN_DOUBT:
                self._desk.failed(call.call_id)
            self._note(host, call, "failed", message=failure.message, reason=failure.code)
            message = quote_json(failure.message)
            return {"status": "error", "code": failure.code, "message": message}
        self._note(host, call, "completed", result=result)
        return {"status": "ok", "source": call.name, "result": quote_json(result)}

    def _note(self, host: CallHost, call: ActionCall, status: str, **more: Any) -> None:
        result = more.get("result")
        record = ActionRecord(call.turn, call.call_id, call.name, call.arguments, status, result)
        host.records[:] = [r for r in host.records if r.call_id != call.call_id] + [record]
        about = {"call_id": call.call_id, "name": call.name, "status": status}
        host.journal.write("tool", **about, arguments=call.arguments, **more)
        self._counts[status] += 1
        told = {"arguments": call.arguments, "result": result, "message": more.get("message")}
        host.tell({"type": "penny.tool_call", **about, **told})
