"""A time limit for calls that nearly always return at once, such as a send into a socket."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Patience:
    """``with patience:`` raises TimeoutError in a task that stays inside for too long.

    ``asyncio.timeout`` makes and cancels a timer for every call. Here one timer serves all calls
    of all tasks and looks once per ``limit_s``, so a call ends after one to two of them. A task
    may be inside once at a time.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks = 0
        self._inside: dict[asyncio.Task[object], int] = {}
        self._overdue: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._loop is None:
            # Kept, because Python 3.11 asks the kernel who it is every time it is asked for.
            self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None, "patience is for tasks"
        self._inside[task] = self._looks
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit_s, self._look)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        del self._inside[task]
        if task not in self._overdue:
            return
        self._overdue.discard(task)
        # Somebody else may have cancelled the task as well; then it stays cancelled.
        if task.uncancel() == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def close(self) -> None:
        """Give the timer back. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for task, looks in self._inside.items():
            if looks < self._looks and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._looks += 1
        if self._inside and self._loop is not None:
            self._timer = self._loop.call_later(self._limit_s, self._look)
