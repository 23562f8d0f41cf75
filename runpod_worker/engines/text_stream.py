"""Text from a model's thread to the loop, stoppable from both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from penny.errors import EngineError
from penny.ids import new_id
from runpod_worker.chat import ToolCallText
from runpod_worker.engines.handoff import Handoff
from runpod_worker.stages import LlmDelta, LlmUsage


TEXT_BYTES = 256 * 1024
"""More than the longest answer: a model's thread never waits for its reader."""

Put = Callable[[str], bool]


async def stream_text(
    threads: ThreadPoolExecutor, write: Callable[[Put], None]
) -> AsyncGenerator[str, None]:
    """Run ``write(put)`` in a thread and yield what it puts; ``put`` answers False for "stop".

    Closing the generator waits for the thread to stop, so that the model is really free.

    Raises:
        EngineError: what ``write`` raised, or that its threads are closed.
    """
    handoff = Handoff(TEXT_BYTES)

    def run() -> None:
        try:
            write(lambda text: handoff.put(text.encode()))
        except BaseException as error:
            handoff.end(_as_engine_error(error))
        else:
            handoff.end()

    try:
        running = threads.submit(run)
    except RuntimeError as error:
        raise EngineError("the LLM is closed", stage="llm", retryable=False) from error
    try:
        while (data := await handoff.take()) is not None:
            yield data.decode()
    finally:
        handoff.close()
        if not running.cancel():  # a thread has taken it
            await asyncio.wait((asyncio.wrap_future(running),))


async def stream_answer(
    threads: ThreadPoolExecutor, write: Callable[[Put], int], *, prompt_tokens: int, limit: int
) -> AsyncGenerator[LlmDelta, None]:
    """An answer that a model writes as text: its words and function calls, then the usage.

    Args:
        write: generates in a thread; returns how many tokens it wrote, at most ``limit``.

    Raises:
        EngineError: as ``stream_text``; ``llm_malformed`` for a function call that is no JSON.
    """
    written = 0

    def run(put: Put) -> None:
        nonlocal written
        written = write(put)

    reading = ToolCallText(lambda: new_id("call"))
    try:
        async with aclosing(stream_text(threads, run)) as pieces:
            async for piece in pieces:
                for delta in reading.feed(piece):
                    yield delta
        for delta in reading.finish():
            yield delta
    except ValueError as error:
        raise EngineError(str(error), stage="llm", code="llm_malformed") from error
    stop = "tool" if reading.calls else "length" if written >= limit else "end"
    yield LlmUsage(prompt_tokens, 0, written, stop)


def _as_engine_error(error: BaseException) -> EngineError:
    if isinstance(error, EngineError):
        return error
    failure = EngineError(f"the model failed: {type(error).__name__}: {error}", stage="llm")
    failure.__cause__ = error
    return failure
