"""The stable head of a session's prompt, computed by the LLM's server before the first question."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from penny.aio.tasks import TaskOwner
from runpod_worker.house import House
from runpod_worker.stages import Llm, LlmRequest


Json = dict[str, Any]


class PromptHead:
    """Has the head of a session's prompt computed before its first answer.

    Primes once per change of instructions or tools, the house's among them; a change ends the
    priming before it.
    """

    def __init__(self, llm: Llm, house: House, tasks: TaskOwner) -> None:
        self._llm = llm
        self._house = house
        self._tasks = tasks
        self._primed = ""
        self._task: asyncio.Task[None] | None = None

    def offer(self, session: Json, language: str) -> None:
        """Take the effective session; begin to prime if its head is new and worth it."""
        request = self._house.with_head(
            LlmRequest(
                instructions=session.get("instructions") or "",
                items=(),
                tools=tuple(session.get("tools") or ()),
                tool_choice=session.get("tool_choice") or "auto",
                language=language,
            )
        )
        head = json.dumps([request.instructions, request.tools], sort_keys=True)
        if head == self._primed or not (request.instructions or request.tools):
            return
        self.close()
        self._primed = head
        self._task = self._tasks.spawn(self._llm.prime(request), name="llm prime")

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
