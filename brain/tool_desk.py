"""The tools of one call, run as the model calls them: judged, told, each wish once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from brain.action_runner import ActionFailed, ActionRunner
from brain.actions import SEARCH_TOOL, ActionCall, ActionDesk, Judged
from brain.analysis import ActionRecord
from brain.quoting import quote_json


log = structlog.get_logger()

Json = dict[str, Any]
IN_DOUBT = frozenset({"timeout", "connection"})
"""Failures after which it may have been done all the same."""
GOODBYE = {
    "es": "Una persona toma la llamada; despídete.",
    "en": "A person takes the call; say goodbye.",
}


class ToolDesk:
    """Searches, actions and hand-offs of one call.

    Args:
        search: of the knowledge base: the whole output, quoted.
        tell: takes ``penny.tool_call`` and ``penny.handoff``.
        summarise: what a person who takes over is told.
        session: what an action is told of the call (``session_id``, ``language`` …).
    """

    def __init__(
        self,
        desk: ActionDesk,
        runner: ActionRunner,
        search: Callable[[str], Awaitable[Json]],
        tell: Callable[[Json], None],
        summarise: Callable[[], str],
        session: Json,
    ) -> None:
        self._desk = desk
        self._runner = runner
        self._search = search
        self._tell = tell
        self._summarise = summarise
        self._session = session
        self._results: dict[str, asyncio.Future[Json]] = {}
        self.records: list[ActionRecord] = []
        """What ran or was refused, newest last."""

    async def run(self, call_id: str, name: str, arguments: str, turn: int, words: str) -> Json:
        """The result of one call; a wish that is known has the result of its first call.

        Args:
            words: the caller's in this turn: a yes there confirms.
        """
        judged = self._desk.judge(call_id, name, arguments, turn, words)
        if judged.verdict == "repeated" and judged.first_call_id in self._results:
            return await asyncio.shield(self._results[judged.first_call_id])
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._results[call_id] = answer
        result: Json = {"status": "error", "code": "tool_failed"}
        try:
            result = await self._run(judged)
        except Exception:
            log.exception("tool_failed", tool=name if name in self._desk.actions else "unknown")
        finally:
            answer.set_result(result)
        return result

    async def _run(self, judged: Judged) -> Json:
        call = judged.call
        if judged.verdict != "run":
            self._note(call, "refused", message=judged.message)
            status = "confirmation_required" if judged.verdict == "confirm_first" else "error"
            return {"status": status, "message": judged.message}
        if call.name == SEARCH_TOOL:
            return await self._search(str(call.arguments.get("query") or ""))
        self._note(call, "started")
        action = self._desk.actions[call.name]
        if action.handoff is not None:
            self._hand_over(call, action.handoff)
            english = str(self._session.get("language") or "").startswith("en")
            return {"status": "ok", "message": GOODBYE["en" if english else "es"]}
        try:
            result = await self._runner.run(action, call, self._session)
        except ActionFailed as failure:
            log.warning("action_failed", action=call.name, code=failure.code)
            if failure.code in IN_DOUBT:
                self._desk.failed(call.call_id)
            self._note(call, "failed", message=failure.message)
            message = quote_json(failure.message)
            return {"status": "error", "code": failure.code, "message": message}
        self._note(call, "completed", result=result)
        return {"status": "ok", "source": call.name, "result": quote_json(result)}

    def _hand_over(self, call: ActionCall, destination: str) -> None:
        reason = call.arguments.get("motivo") or call.arguments.get("reason")
        self._tell(
            {
                "type": "penny.handoff",
                "summary": self._summarise(),
                "reason": reason,
                "destination": destination,
                "details": {"arguments": call.arguments},
            }
        )
        self._note(call, "completed", result={"status": "ok"})

    def _note(
        self, call: ActionCall, status: str, *, result: Json | None = None, message: str = ""
    ) -> None:
        record = ActionRecord(call.turn, call.call_id, call.name, call.arguments, status, result)
        self.records[:] = [r for r in self.records if r.call_id != call.call_id] + [record]
        self._tell(
            {
                "type": "penny.tool_call",
                "call_id": call.call_id,
                "name": call.name,
                "status": status,
                "arguments": call.arguments,
                "result": result,
                "message": message or None,
            }
        )
