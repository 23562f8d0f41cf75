"""HTTP servers of a test, on a free port of loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

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
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def cut(connection: ClientWebSocketResponse | web.WebSocketResponse) -> None:
    """Drop a WebSocket without a goodbye, as a lost network does."""
    link: socket.socket = connection.get_extra_info("socket")
    link.shutdown(socket.SHUT_RDWR)
