"""A worker process with engines of fixed latency: ``python -m tests.doubles.fixed_worker PORT``.

The process, its socket and its core are Penny's own; only the thinking is replaced, so that a
test can kill, freeze and slow it at will without waiting for models to load.
"""

from __future__ import annotations

import asyncio
import os
import sys

from aiohttp import web

from penny.tracing.settings import TracingSettings
from runpod_worker.server import Worker, keep_loaded
from runpod_worker.settings import WorkerSettings
from tests.doubles.engines import NO_FILLER, FixedLlm
from tests.doubles.house import make_engines


ANSWER = "Su factura vence el quince de enero. Son mil quinientos euros. Hasta pronto."

TRACES_TO = "TEST_WORKER_TRACES_TO"
"""Environment variable: where its spans go; unset, it has none."""


async def serve(port: int) -> None:
    tracing = TracingSettings()
    if TRACES_TO in os.environ:
        tracing = TracingSettings(enabled=True, endpoint=os.environ[TRACES_TO])
    settings = WorkerSettings(slots=10_000, tracing=tracing, spoken=NO_FILLER)
    engines = make_engines(llm=FixedLlm(ANSWER))
    runner = web.AppRunner(Worker(settings, engines).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    keep_loaded()
    print(f"The worker listens on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
