"""The worker's engines in a thread with a loop of their own.

RunPod's SDK runs handlers in its own loop, beside its polling and printing. Audio must not wait
for that, and engines belong to the loop that loaded them: so they live here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from runpod_worker.engines.registry import Engines
from runpod_worker.server import Worker, keep_loaded
from runpod_worker.settings import WorkerSettings


log = structlog.get_logger()

T = TypeVar("T")
Load = Callable[[WorkerSettings], Awaitable[Engines]]


class PipelineThread:
    """Thread with an event loop of its own for the engines.

    Loads the engines and keeps their loop running. ``start`` first, ``stop`` last.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        load: Load,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        self._settings = settings
        self._load = load
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._engines: Engines | None = None
        self.worker: Worker | None = None

    def start(self) -> Worker:
        """Load everything. Raises what the engines raise: who cannot talk must not start."""
        self._thread.start()
        try:
            return asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except BaseException:
            self.stop()
            raise

    async def run(self, work: Callable[[Worker], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` in the pipeline's loop, from any other; cancelled with its caller."""
        assert self.worker is not None, "start() comes first"
        running = asyncio.run_coroutine_threadsafe(work(self.worker), self._loop)
        return await asyncio.wrap_future(running)

    def stop(self) -> None:
        """Close the engines and end the thread. Idempotent."""
        if not self._thread.is_alive():
            return
        if self._engines is not None:
            asyncio.run_coroutine_threadsafe(self._engines.aclose(), self._loop).result()
            self._engines = None
        if self.worker is not None:
            asyncio.run_coroutine_threadsafe(self.worker.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> Worker:
        self._engines = await self._load(self._settings)
        self.worker = Worker(self._settings, self._engines)
        keep_loaded()
        return self.worker
