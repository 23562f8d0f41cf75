"""HTTP servers of a test, on a free port of loopback."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from aiohttp import ClientWebSocketResponse, web


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(routes: dict[str, Handler]) -> AsyncIterator[str]:
    """Serve ``{"POST /path": handler}``; yields the base URL without a slash at its end.

    Handlers are cancelled when their client leaves, as an inference server's are.
    """
    app = web.Application(client_max_size=32 * 1024 * 1024)
    for route, handler in routes.items():
        method, path = route.split(" ", 1)
        app.router.add_route(method, path, handler)
    async with serving_app(app, shutdown_s=0.5) as url:
        yield url


@asynccontextmanager
async def serving_app(
    app: web.Application, *, cancels: bool = True, shutdown_s: float = 0.1
) -> AsyncIterator[str]:
    """Serve an application; yields the base URL. ``cancels``: handlers whose client leaves."""
    runner = await start_app(app, cancels=cancels, shutdown_s=shutdown_s)
    try:
        yield url_of(runner)
    finally:
        await runner.cleanup()


async def start_app(
    app: web.Application, *, cancels: bool = False, shutdown_s: float = 0.1, port: int = 0
) -> web.AppRunner:
    """Serve an application until its runner is cleaned up."""
    runner = web.AppRunner(app, handler_cancellation=cancels, shutdown_timeout=shutdown_s)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


def url_of(runner: web.AppRunner) -> str:
    """The base URL of what a runner serves."""
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


class HttpDouble(ABC):
    """A double that is an HTTP server from ``start`` to ``aclose``, or for an ``async with``."""

    cancels = False
    """Whether a handler is cancelled when its client leaves, as an inference server's is."""
    _runner: web.AppRunner | None = None

    @abstractmethod
    def app(self) -> web.Application:
        """What it serves."""

    @property
    def address(self) -> str:
        assert self._runner is not None
        return url_of(self._runner)

    async def start(self) -> None:
        self._runner = await start_app(self.app(), cancels=self.cancels)

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def check(self) -> None:  # noqa: B027  # most have nothing to check
        """At the end of a block that raised nothing: raises where the other side was wrong."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
        if kind is None:
            self.check()


def cut(connection: ClientWebSocketResponse | web.WebSocketResponse) -> None:
    """Drop a WebSocket without a goodbye, as a lost network does."""
    link: socket.socket = connection.get_extra_info("socket")
    link.shutdown(socket.SHUT_RDWR)
