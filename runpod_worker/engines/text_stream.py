"""Text from a model's thread to the loop, stoppable from both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor

from penny.errors import EngineError
from runpod_worker.engines.handoff import Handoff


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
        running = asyncio.get_running_loop().run_in_executor(threads, run)
    except RuntimeError as error:
        raise EngineError("the LLM is closed", stage="llm", retryable=False) from error
    try:
        while (data := await handoff.take()) is not None:
            yield data.decode()
    finally:
        handoff.close()
        running.cancel()  # where no thread has taken it yet
        await asyncio.wait((running,))


def _as_engine_error(error: BaseException) -> EngineError:
    if isinstance(error, EngineError):
        return error
    failure = EngineError(f"the model failed: {type(error).__name__}: {error}", stage="llm")
    failure.__cause__ = error
    return failure
