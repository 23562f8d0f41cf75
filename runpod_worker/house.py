"""What the gateway knows and may do for a call, asked over the call's own connection.

The gateway opens it (``penny.house.open``: rules and tools). A turn's passages are asked for before
the model is (``penny.house.call`` -> ``penny.house.result``), and what the model calls of the
house's tools is answered within its response. A connection whose gateway opens nothing goes on
without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
import structlog

from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from runpod_worker.chat import read_text
from runpod_worker.stages import LlmRequest, LlmToolCall


log = structlog.get_logger()

Json = dict[str, Any]

SEARCH_TOOL = "search_knowledge"
LOOK_UP = "look_up"
"""The name of the call for a turn's passages; no tool may have it."""
LOOK_UP_LIMIT_S = 0.7
"""A search takes milliseconds; an answer must not wait for one that hangs."""
RUN_LIMIT_S = 305.0
"""Longer than any action of ``penny.yaml`` may take."""
UNANSWERED = '{"status": "error", "message": "no answer: whether it was done is unknown"}'


class Knowledge(NamedTuple):
    """What holds for one turn: the day, the call, what was done; and passages, best first."""

    notes: str = ""
    passages: tuple[str, ...] = ()


class House:
    """The house behind one connection.

    Args:
        ask: sends an event to the gateway: its type and its fields.
        tasks: of the connection.
        searches: whether its passages are wanted, and its search as a tool.
    """

    def __init__(
        self, ask: Callable[..., None], tasks: TaskOwner, *, searches: bool = True
    ) -> None:
        self._ask = ask
        self._searches = searches
        self._tasks = tasks
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._looking: tuple[str, asyncio.Task[Knowledge]] | None = None
        self.rules = ""
        self.tools: tuple[Json, ...] = ()
        self.is_open = False

    def take(self, event: Json) -> None:
        """One ``penny.house.*`` event of the gateway."""
        if event.get("type") == "penny.house.open":
            self.rules = str(event.get("rules") or "")
            tools = event.get("tools") or ()
            self.tools = tuple(t for t in tools if self._searches or t.get("name") != SEARCH_TOOL)
            self.is_open = True
        waiting = self._waiting.get(str(event.get("call_id")))
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    def runs(self, name: str, clients: Sequence[Json]) -> bool:
        """Whether a function is the house's to run; a client's tool of that name is its own."""
        own = any(tool.get("name") == name for tool in self.tools)
        return own and not any(tool.get("name") == name for tool in clients)

    def with_head(self, request: LlmRequest) -> LlmRequest:
        """The request with the house's rules and tools: what a prompt's head is made of."""
        own = [tool for tool in self.tools if self.runs(str(tool.get("name")), request.tools)]
        instructions = "\n\n".join(filter(None, (request.instructions, self.rules)))
        return replace(request, instructions=instructions, tools=(*request.tools, *own))

    async def prepare(self, request: LlmRequest) -> LlmRequest:
        """The request with all that the house knows for its turn."""
        known = await self.look_up(*_asked(request))
        return replace(self.with_head(request), notes=known.notes, passages=known.passages)

    async def look_up(self, words: str, item_id: str = "") -> Knowledge:
        """What the house knows for a turn; nothing when it does not answer in time.

        The same words asked again before ``forget`` are answered from the first time: a turn's
        answer may be begun ahead.
        """
        if not self.is_open or not self._searches:
            return Knowledge()
        if self._looking is None or self._looking[0] != words:
            looking = self._look_up(words, item_id)
            self._looking = words, self._tasks.spawn(looking, name="house look-up")
        return await asyncio.shield(self._looking[1])

    def forget(self) -> None:
        """The turn is answered, or another one begins: the next look-up asks anew."""
        self._looking = None

    async def run_all(self, calls: Sequence[LlmToolCall], request: LlmRequest) -> list[Json]:
        """Run calls that answer to a request; the items that tell of them, in order."""
        words, item_id = _asked(request)
        outputs = await asyncio.gather(*(self._run(call, words, item_id) for call in calls))
        told = [
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
            }
            for call in calls
        ]
        return told + [
            {"type": "function_call_output", "call_id": call.call_id, "output": output}
            for call, output in zip(calls, outputs, strict=True)
        ]

    async def _run(self, call: LlmToolCall, words: str, item_id: str) -> str:
        about = {"name": call.name, "arguments": call.arguments}
        told = await self._call(call.call_id, RUN_LIMIT_S, words=words, item_id=item_id, **about)
        return UNANSWERED if told is None else str(told.get("output") or "")

    async def _look_up(self, words: str, item_id: str) -> Knowledge:
        call_id = new_id("call")
        told = await self._call(
            call_id, LOOK_UP_LIMIT_S, name=LOOK_UP, words=words, item_id=item_id
        )
        if told is None:
            return Knowledge()
        passages = tuple(str(each) for each in told.get("passages") or ())
        return Knowledge(str(told.get("notes") or ""), passages)

    async def _call(self, call_id: str, limit_s: float, **about: Any) -> Json | None:
        answer = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        try:
            self._ask("penny.house.call", call_id=call_id, **about)
            async with asyncio.timeout(limit_s):
                told: Json = await answer
                return told
        except TimeoutError:
            log.warning("house_did_not_answer", name=about["name"], limit_s=limit_s)
            return None
        finally:
            del self._waiting[call_id]


def _asked(request: LlmRequest) -> tuple[str, str]:
    """The caller's newest words, and the id of their item; '' where they said nothing."""
    for item in reversed(request.items):
        if item.get("role") == "user":
            return read_text(item), str(item.get("id") or "")
    return "", ""


def read_event(message: str | bytes) -> Json | None:
    """A ``penny.house.*`` event; None of every other message."""
    if not isinstance(message, str) or not message.startswith('{"type":"penny.house.'):
        return None
    try:
        event: object = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None
