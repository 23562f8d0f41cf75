"""An answer begun while the turn is still being judged, taken by the response if the words held.

The words are known before the silence that ends a turn is over. The language model may use that
time: what it generates is kept here, unheard, until the response asks for exactly this prompt. If
the caller goes on, it is aborted like any interrupted answer. Fulfils ``stages.Llm``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from penny.aio.channel import Channel
from penny.errors import EngineError
from runpod_worker.chat_messages import write_messages
from runpod_worker.stages import EngineInfo, Llm, LlmDelta, LlmRequest


log = structlog.get_logger()

KEPT_DELTAS = 64
"""Pieces generated ahead of the turn's end; then the model waits. A second or two of tokens."""


@dataclass(slots=True)
class _Begun:
    request: LlmRequest
    deltas: Channel[LlmDelta]
    task: asyncio.Task[None]


class AnswerAhead:
    """One connection's language model; ``llm`` is shared by all. At most one answer is ahead."""

    def __init__(self, llm: Llm) -> None:
        self.info: EngineInfo = llm.info
        self._llm = llm
        self._begun: _Begun | None = None

    def begin(self, request: LlmRequest) -> None:
        """Generate for a turn that may be over; the same prompt again changes nothing."""
        if self._begun is not None and _is_same(self._begun.request, request):
            return
        self.drop()
        deltas: Channel[LlmDelta] = Channel(KEPT_DELTAS)
        task = asyncio.create_task(self._read(request, deltas), name="llm ahead")
        task.add_done_callback(_note)
        self._begun = _Begun(request, deltas, task)

    def drop(self) -> None:
        """The caller went on, or the connection ends: abort what is ahead."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.task.cancel()

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """What was begun for this very prompt, else a new answer. Raises EngineError."""
        begun, self._begun = self._begun, None
        if begun is None or not _is_same(begun.request, request):
            if begun is not None:
                begun.task.cancel()
            async with aclosing(_closable(self._llm.generate(request))) as answer:
                async for delta in answer:
                    yield delta
            return
        try:
            async for delta in begun.deltas:
                yield delta
            await begun.task
        finally:
            begun.task.cancel()
            await asyncio.wait((begun.task,))

    def count_tokens(self, text: str) -> int:
        return self._llm.count_tokens(text)

    async def prime(self, request: LlmRequest) -> None:
        await self._llm.prime(request)

    async def aclose(self) -> None:
        """Ends what is ahead; the shared model stays."""
        self.drop()

    async def _read(self, request: LlmRequest, deltas: Channel[LlmDelta]) -> None:
        try:
            async with aclosing(_closable(self._llm.generate(request))) as answer:
                async for delta in answer:
                    await deltas.send(delta)
        finally:
            deltas.close()


def _is_same(one: LlmRequest, other: LlmRequest) -> bool:
    """Whether both lead to the same prompt; items may differ in ids."""
    bare = replace(one, items=()), replace(other, items=())
    return bare[0] == bare[1] and write_messages("", one.items) == write_messages("", other.items)


def _note(task: asyncio.Task[None]) -> None:
    """The response that takes the answer raises its failure; one that nobody took is told here."""
    if not task.cancelled() and (failure := task.exception()) is not None:
        code = failure.code if isinstance(failure, EngineError) else type(failure).__name__
        log.warning("llm_ahead_failed", code=code)


async def _closable(answer: AsyncIterator[LlmDelta]) -> AsyncGenerator[LlmDelta, None]:
    """The Protocol promises an iterator, which need not have aclose."""
    try:
        async for delta in answer:
            yield delta
    finally:
        close = getattr(answer, "aclose", None)
        if close is not None:
            await close()
