"""A whole Penny in one test: a real gateway on a real port before a real worker's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from config.schema import Config
from penny.gateway.app import Gateway
from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from tests.doubles.engines import FixedLlm, FixedStt, FixedTts


Json = dict[str, Any]


def make_engines(
    stt: FixedStt | None = None, llm: FixedLlm | None = None, tts: FixedTts | None = None
) -> Engines:
    """Silero for real, the other stages of fixed latency unless given."""
    return Engines(SileroVad(), stt or FixedStt(), llm or FixedLlm(), tts or FixedTts())


@asynccontextmanager
async def running_worker(
    engines: Engines, settings: WorkerSettings | None = None
) -> AsyncIterator[str]:
    """The worker's Realtime address."""
    runner = web.AppRunner(Worker(settings or WorkerSettings(), engines).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/realtime"
    finally:
        await runner.cleanup()
        await engines.aclose()


@asynccontextmanager
async def running_penny(
    engines: Engines | None = None, settings: WorkerSettings | None = None, **sections: Json
) -> AsyncIterator[str]:
    """The gateway's HTTP address; ``sections`` are penny.yaml's, over their defaults."""
    async with running_worker(engines or make_engines(), settings) as endpoint:
        penny = sections.pop("penny", {})
        modes = penny.setdefault("modes", {})
        modes.setdefault("SELF_HOSTED", {})["endpoint"] = endpoint
        gateway = Gateway(Config.model_validate({"penny": penny, **sections}))
        try:
            await gateway.start("127.0.0.1", 0)
            yield f"http://127.0.0.1:{gateway.port}"
        finally:
            await gateway.stop(drain_s=1.0)
