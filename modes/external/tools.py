"""The speaker's function calls: run, answered all at once, late results told when it is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import structlog

from brain.action_runner import ActionFailed, ActionRunner
from brain.actions import SEARCH_TOOL, ActionCall, ActionDesk, Fillers, Verdict
from brain.analysis import Excerpt
from brain.journal import Journal
from config.brain import ActionsSection
from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.tracing.current import Attributes, span


if TYPE_CHECKING:
    from penny.tracing.trace import Trace

log = structlog.get_logger()

Json = dict[str, Any]
Search = Callable[[str], Awaitable[tuple[Excerpt, ...]]]

REFUSALS: dict[Verdict, Json] = {
    "confirm_first": {
        "status": "confirmation_required",
        "message": "Di a la persona qué vas a hacer y espera su sí; después llama otra vez con "
        "confirmado: true.",
    },
    "unknown": {"status": "error", "message": "Esa acción no existe en esta sesión."},
    "bad_arguments": {"status": "error", "message": "Faltan argumentos; pídelos a la persona."},
}
PENDING: Json = {
    "status": "in_progress",
    "message": "Sigue en curso; el resultado llegará como [RESULTADO]. No lo des por hecho.",
}


class ToolHost(Protocol):
    """The call the tools belong to."""

    async def send_up(self, event: Json) -> None: ...

    async def ask_response(self, params: Json | None = None) -> None: ...

    def is_quiet(self) -> bool:
        """Nobody speaks and nothing is being answered."""
        ...

    def turn_id(self) -> str:
        """The caller's newest item; '' before the first."""
        ...

    def tell(self, event: Json) -> None: ...

    def announce(self, name: str, result: Json, item_id: str) -> None:
        """A late result: have the speaker say it at a quiet moment."""
        ...

    def summarise(self) -> str:
        """What a person who takes over should know."""
        ...


@dataclass(slots=True)
class _Running:
    call: ActionCall
    item_id: str
    task: asyncio.Task[Json]


class ToolDesk:
    """One per session."""

    def __init__(
        self,
        desk: ActionDesk,
        runner: ActionRunner,
        search: Search,
        settings: ActionsSection,
        host: ToolHost,
        journal: Journal,
        session: Json,
        trace: Trace | None = None,
    ) -> None:
        self._desk = desk
        self._runner = runner
        self._search = search
        self._settings = settings
        self._host = host
        self._journal = journal
        self._session = session
        self._trace = trace
        english = str(session.get("language", "es")).startswith("en")
        self._fillers = Fillers(settings.fillers_en if english else settings.fillers_es)
        self._tasks = TaskOwner("tools")
        self._batches: dict[str, list[_Running]] = {}

    def take(self, item: Json, response_id: str, turn: int) -> None:
        """A finished function call (``response.output_item.done``); the same one counts once."""
        call_id = item["call_id"]
        if self._desk.seen(call_id):
            self._journal.write("tool_repeated", call_id=call_id)
            return
        call = self._desk.read(call_id, item["name"], item.get("arguments") or "", turn)
        if call is None:
            call, verdict = ActionCall(call_id, item["name"], {}, turn), "bad_arguments"
            self._desk.judge(call)
        else:
            verdict = self._desk.judge(call)
        task = self._tasks.spawn(self._execute(call, verdict, item["id"]), name=f"tool {call.name}")
        self._batches.setdefault(response_id, []).append(_Running(call, item["id"], task))

    def response_done(self, response_id: str, *, interrupted: bool) -> None:
        """All calls of the response are known now."""
        batch = self._batches.pop(response_id, None)
        if batch:
            self._tasks.spawn(self._answer(batch, interrupted), name="tool answers")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    # -- running ------------------------------------------------------------------------------

    async def _execute(self, call: ActionCall, verdict: Any, item_id: str) -> Json:
        # A name that the session does not have is the model's own words.
        name = call.name if call.name in {SEARCH_TOOL, *self._desk.actions} else "unknown"
        about: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call.call_id,
        }
        title = f"execute_tool {name}"
        with span(self._trace, title, item_id=self._host.turn_id(), attributes=about) as running:
            result = await self._run(call, verdict, item_id)
            if running is not None:
                running.set({"penny.status": str(result.get("status") or "")})
            return result

    async def _run(self, call: ActionCall, verdict: Any, item_id: str) -> Json:
        if verdict != "run":
            result = REFUSALS[verdict]
            self._note(call, item_id, "refused", message=result["message"], reason=verdict)
            return result
        if call.name == SEARCH_TOOL:
            found = await self._search(str(call.arguments.get("query") or ""))
            if not found:
                return {"status": "nothing_found", "message": "No consta. Dilo así, no inventes."}
            return {"status": "ok", "passages": [{"title": p.title, "text": p.text} for p in found]}
        self._note(call, item_id, "started")
        action = self._desk.actions[call.name]
        if action.handoff is not None:
            self._host.tell(
                {
                    "type": "penny.handoff",
                    "summary": self._host.summarise(),
                    "reason": call.arguments.get("motivo") or call.arguments.get("reason"),
                    "destination": action.handoff,
                    "details": {"arguments": call.arguments},
                }
            )
            self._note(call, item_id, "completed", result={"status": "ok"})
            return {"status": "ok", "message": "Una persona toma la llamada; despídete."}
        try:
            result = await self._runner.run(action, call, self._session)
        except ActionFailed as failure:
            log.warning("action_failed", action=call.name, code=failure.code)
            self._note(call, item_id, "failed", message=failure.message, reason=failure.code)
            return {"status": "error", "code": failure.code, "message": failure.message}
        self._note(call, item_id, "completed", result=result)
        return {"status": "ok", "result": result}

    async def _answer(self, batch: list[_Running], interrupted: bool) -> None:
        """Wait a bounded time, send every output, then ask for one response."""
        tasks = [running.task for running in batch]
        filler_s, reply_s = self._settings.filler_after_ms / 1000, self._settings.reply_after_ms
        _, pending = await asyncio.wait(tasks, timeout=filler_s)
        if pending and not interrupted:
            await self._fill()
        if pending:
            _, pending = await asyncio.wait(tasks, timeout=max(0.0, reply_s / 1000 - filler_s))
        for running in batch:
            late = running.task in pending
            output = PENDING if late else running.task.result()
            await self._send_output(running.call.call_id, output)
            if late:
                self._tasks.spawn(self._announce(running), name=f"late {running.call.name}")
        if not interrupted:
            await self._host.ask_response()

    async def _fill(self) -> None:
        """Say something into the silence, if there is one and a phrase is left."""
        phrase = self._fillers.take() if self._host.is_quiet() else None
        if phrase is not None:
            params = {
                "instructions": f"Di exactamente esta frase y nada más: «{phrase}»",
                "tool_choice": "none",
                "metadata": {"penny_say": phrase},
            }
            self._journal.write("filler", phrase=phrase)
            await self._host.ask_response(params)

    async def _announce(self, running: _Running) -> None:
        result = await running.task
        self._host.announce(running.call.name, result, running.item_id)

    async def _send_output(self, call_id: str, output: Json) -> None:
        item = {
            "id": new_id("item"),
            "type": "function_call_output",
            "call_id": call_id,
            "output": orjson.dumps(output, default=str).decode(),
        }
        await self._host.send_up({"type": "conversation.item.create", "item": item})

    def _note(self, call: ActionCall, item_id: str, status: str, **more: Any) -> None:
        self._journal.write(
            "tool",
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            status=status,
            **more,
        )
        event = {
            "type": "penny.tool_call",
            "call_id": call.call_id,
            "name": call.name,
            "status": status,
            "arguments": call.arguments,
            "result": more.get("result"),
            "message": more.get("message"),
        }
        self._host.tell(event)
