"""Speculative start: an answer begun before its turn is decided, taken if the words held.

The words are known before the silence that ends a turn is over. The language model may use that
time: what it generates is kept here, unheard, until the response asks for exactly this prompt. If
the caller goes on, it is aborted like any interrupted answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import structlog

from penny.aio.channel import Channel
from penny.errors import EngineError
from runpod_worker.chat import write_messages
from runpod_worker.stages import EngineInfo, Llm, LlmDelta, LlmRequest


log = structlog.get_logger()

KEPT_DELTAS = 64
"""Pieces generated ahead of the turn's end; then the model waits. A second or two of tokens."""

Wanted = TypeVar("Wanted")
Piece = TypeVar("Piece")


@dataclass(slots=True)
class _Begun(Generic[Wanted, Piece]):
    """A stream under way, and what was asked of it."""

    wanted: Wanted
    pieces: Channel[Piece]
    task: asyncio.Task[None]


class StreamAhead(Generic[Wanted, Piece]):
    """A stream that is begun before it is certain to be wanted. At most one; another aborts it.

    Args:
        start: opens the engine's stream for what is wanted.
        is_same: whether two wishes lead to the same stream.
        kept: pieces kept unheard; then the engine waits.
        stage: what the log calls it.
    """

    def __init__(
        self,
        start: Callable[[Wanted], AsyncIterator[Piece]],
        is_same: Callable[[Wanted, Wanted], bool],
        *,
        kept: int,
        stage: str,
    ) -> None:
        self._start = start
        self._is_same = is_same
        self._kept = kept
        self._stage = stage
        self._begun: _Begun[Wanted, Piece] | None = None

    def begin(self, wanted: Wanted) -> None:
        """Open the stream; the same again changes nothing."""
        if self._begun is not None and self._is_same(self._begun.wanted, wanted):
            return
        self.drop()
        pieces: Channel[Piece] = Channel(self._kept)
        task = asyncio.create_task(self._read(wanted, pieces), name=f"{self._stage} ahead")
        task.add_done_callback(self._note)
        self._begun = _Begun(wanted, pieces, task)

    def drop(self) -> None:
        """It is not wanted: abort what is ahead."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.task.cancel()

    async def take(self, wanted: Wanted) -> AsyncIterator[Piece]:
        """What was begun for this very wish, else a new stream. Raises EngineError."""
        begun, self._begun = self._begun, None
        if begun is None or not self._is_same(begun.wanted, wanted):
            if begun is not None:
                begun.task.cancel()
            async with aclosing(closable(self._start(wanted))) as stream:
                async for piece in stream:
                    yield piece
            return
        try:
            async for piece in begun.pieces:
                yield piece
            await begun.task
        finally:
            begun.task.cancel()
            await asyncio.wait((begun.task,))

    async def _read(self, wanted: Wanted, pieces: Channel[Piece]) -> None:
        try:
            async with aclosing(closable(self._start(wanted))) as stream:
                async for piece in stream:
                    await pieces.send(piece)
        finally:
            pieces.close()

    def _note(self, task: asyncio.Task[None]) -> None:
        """Log the failure of a stream that was not taken; taking it raises the failure."""
        if not task.cancelled() and (failure := task.exception()) is not None:
            code = failure.code if isinstance(failure, EngineError) else type(failure).__name__
            log.warning("stream_ahead_failed", stage=self._stage, code=code)


async def closable(stream: AsyncIterator[Piece]) -> AsyncGenerator[Piece, None]:
    """The Protocols promise an iterator, which need not have aclose."""
    try:
        async for piece in stream:
            yield piece
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


class AnswerAhead:
    """An Llm whose next answer may be begun ahead: a connection's own, over the shared ``llm``."""

    def __init__(self, llm: Llm) -> None:
        self.info: EngineInfo = llm.info
        self._llm = llm
        self._ahead: StreamAhead[LlmRequest, LlmDelta] = StreamAhead(
            llm.generate, _is_same, kept=KEPT_DELTAS, stage="llm"
        )

    def begin(self, request: LlmRequest) -> None:
        """Generate for a turn that may be over; the same prompt again changes nothing."""
        self._ahead.begin(request)

    def drop(self) -> None:
        """The caller went on, or the connection ends: abort what is ahead."""
        self._ahead.drop()

    def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """What was begun for this very prompt, else a new answer. Raises EngineError."""
        return self._ahead.take(request)

    def count_tokens(self, text: str) -> int:
        return self._llm.count_tokens(text)

    async def prime(self, request: LlmRequest) -> None:
        await self._llm.prime(request)

    async def aclose(self) -> None:
        """Ends what is ahead; the shared model stays."""
        self.drop()


def _is_same(one: LlmRequest, other: LlmRequest) -> bool:
    """Whether both lead to the same prompt; items may differ in ids."""
    bare = replace(one, items=()), replace(other, items=())
    return bare[0] == bare[1] and write_messages("", one.items) == write_messages("", other.items)
