"""Background tasks with an owner: named, reported when they fail, ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from traceback import walk_tb
from typing import Any, TypeVar

import structlog


T = TypeVar("T")
OnFailure = Callable[[str, BaseException], None]

_log = structlog.get_logger()

failed_tasks: dict[str, int] = {}
"""Tasks of this process that ended with an error, by owner: for the operator's metrics."""


class TaskOwner:
    """Starts tasks and outlives them: after ``aclose`` none is left.

    A failed task is counted (``failed_tasks``), logged once (``task_failed``: its name, the error's
    type and place, never its text, which may carry speech) and given once to ``on_failure`` (name,
    error) to act.

    Args:
        name: of the owner, for the log.
        on_failure: called in the loop for each task that ended with an error.
    """

    def __init__(self, name: str, on_failure: OnFailure | None = None) -> None:
        self.name = name
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start a task. Raises RuntimeError after ``aclose``."""
        if self._closed:
            coro.close()
            raise RuntimeError(f"{self.name} is closed; {name} was not started")
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def aclose(self) -> None:
        """Cancel every task and wait until each has ended. Idempotent.

        A task of its own may call this: it is left out of the wait and ends when it likes. When
        the caller is cancelled meanwhile, the tasks are waited for all the same.
        """
        self._closed = True
        cancelled: asyncio.CancelledError | None = None
        while others := self._tasks - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            try:
                await asyncio.wait(others)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        failed_tasks[self.name] = failed_tasks.get(self.name, 0) + 1
        _log.error(
            "task_failed",
            owner=self.name,
            task=task.get_name(),
            error=type(error).__name__,
            code=getattr(error, "code", None),
            where=_place(error),
        )
        if self._on_failure is not None:
            self._on_failure(task.get_name(), error)


def _place(error: BaseException) -> str:
    """File, line and function that raised."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
