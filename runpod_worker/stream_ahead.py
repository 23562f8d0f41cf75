"""A stream begun before it is certain that it is wanted, taken by whoever asks for the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from penny.aio.channel import Channel
from penny.errors import EngineError


log = structlog.get_logger()

Wanted = TypeVar("Wanted")
Piece = TypeVar("Piece")


@dataclass(slots=True)
class _Begun(Generic[Wanted, Piece]):
    wanted: Wanted
    pieces: Channel[Piece]
    task: asyncio.Task[None]


class StreamAhead(Generic[Wanted, Piece]):
    """At most one stream is ahead; beginning another aborts it.

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
            async with aclosing(_closable(self._start(wanted))) as stream:
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
            async with aclosing(_closable(self._start(wanted))) as stream:
                async for piece in stream:
                    await pieces.send(piece)
        finally:
            pieces.close()

    def _note(self, task: asyncio.Task[None]) -> None:
        """Whoever takes the stream raises its failure; one that nobody took is told here."""
        if not task.cancelled() and (failure := task.exception()) is not None:
            code = failure.code if isinstance(failure, EngineError) else type(failure).__name__
            log.warning("stream_ahead_failed", stage=self._stage, code=code)


async def _closable(stream: AsyncIterator[Piece]) -> AsyncGenerator[Piece, None]:
    """The Protocols promise an iterator, which need not have aclose."""
    try:
        async for piece in stream:
            yield piece
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
