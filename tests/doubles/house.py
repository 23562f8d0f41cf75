"""A whole Penny in one test: a real gateway on a real port before a real worker's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from aiohttp import web

from config.schema import Config
from penny.gateway.app import Gateway
from runpod_worker import server
from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from tests.doubles.engines import NO_FILLER, FixedLlm, FixedStt, FixedTts
from tests.doubles.http import serving_app
from tests.doubles.sample import DOCUMENTS, INDEX
from tests.realtime_schema import assert_server_event_valid


Json = dict[str, Any]
SendEvent = Callable[[Json], Awaitable[None]]

NO_VECTORS = {"documents": str(DOCUMENTS), "index": str(INDEX), "embedding": "none"}


def make_engines(
    stt: FixedStt | None = None, llm: FixedLlm | None = None, tts: FixedTts | None = None
) -> Engines:
    """Silero for real, the other stages of fixed latency unless given."""
    return Engines(SileroVad(), stt or FixedStt(), llm or FixedLlm(), tts or FixedTts())


@contextmanager
def checked_events() -> Iterator[None]:
    """Validate strictly whatever a worker sends meanwhile, whoever reads it."""
    wrong: list[str] = []
    make_sender = server._sender

    def make_checked_sender(socket: web.WebSocketResponse) -> SendEvent:
        send = make_sender(socket)

        async def send_checked(event: Json) -> None:
            try:
                assert_server_event_valid(event)
            except (AssertionError, KeyError, ValueError) as error:
                wrong.append(f"{event.get('type')}: {error}")
            await send(event)

        return send_checked

    with patch.object(server, "_sender", make_checked_sender):
        yield
    assert not wrong, wrong


@asynccontextmanager
async def running_worker(
    engines: Engines, settings: WorkerSettings | None = None
) -> AsyncIterator[str]:
    """The worker's Realtime address. Fails at the end if the worker sent an invalid event."""
    app = Worker(settings or WorkerSettings(spoken=NO_FILLER), engines).app()
    async with aclosing(engines), serving_app(app, cancels=False, shutdown_s=60.0) as url:
        with checked_events():
            yield f"{url.replace('http', 'ws')}/v1/realtime"


@asynccontextmanager
async def running_gateway(
    engines: Engines | None = None, settings: WorkerSettings | None = None, **sections: Json
) -> AsyncIterator[Gateway]:
    """A gateway that listens; ``sections`` are penny.yaml's, over their defaults."""
    async with running_worker(engines or make_engines(), settings) as endpoint:
        penny = sections.pop("penny", {})
        sections.setdefault("calls", {"enabled": False})  # a test names the folder it wants
        sections.setdefault("waiting", {"enabled": False})  # see NO_FILLER
        # Vectors of the sample's documents are made in seconds of a processor: who searches asks.
        sections.setdefault("kb", NO_VECTORS)
        modes = penny.setdefault("modes", {})
        modes.setdefault("SELF_HOSTED", {})["endpoint"] = endpoint
        gateway = Gateway(Config.model_validate({"penny": penny, **sections}))
        try:
            await gateway.start("127.0.0.1", 0)
            yield gateway
        finally:
            await gateway.stop(drain_s=1.0)


@asynccontextmanager
async def running_penny(
    engines: Engines | None = None, settings: WorkerSettings | None = None, **sections: Json
) -> AsyncIterator[str]:
    """The HTTP address of a ``running_gateway``."""
    async with running_gateway(engines, settings, **sections) as gateway:
        yield f"http://127.0.0.1:{gateway.port}"
