"""Takes messages out of a WebSocket in the step in which they arrive.

Between aiohttp's parser and ``receive`` stand a queue, a future and a turn of the loop, for every
message. While the reader waits and the queue is empty a message passes by them here, to whoever
said that it takes it; all others, and the ways a connection ends, go where they always went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import structlog
from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WSMessage, WSMessageTextBytes


log = structlog.get_logger()

Message = WSMessage | WSMessageTextBytes
AnySocket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


class Inlet(WebSocketDataQueue):
    """The queue of one WebSocket that is read by one task."""

    def __init__(self, queue: WebSocketDataQueue, loop: asyncio.AbstractEventLoop) -> None:
        """Args: queue: aiohttp's own, still empty; this one stands in its place."""
        super().__init__(queue._protocol, queue._limit // 2, loop=loop)
        self.take: Callable[[Message], bool] | None = None
        """Called with a message while the reader waits for one; False leaves it to the reader.
        It must not raise: what it raises is logged and ends the connection."""
        self._is_waited_for = False

    def feed_data(self, data: Message, size: int) -> None:
        if self._is_waited_for and self.take is not None:
            try:
                if self.take(data):
                    return
            except Exception as error:
                log.exception("message_not_taken")
                self.set_exception(error)
                return
        self._is_waited_for = False
        super().feed_data(data, size)

    async def read(self) -> Message:
        self._is_waited_for = not self._buffer
        try:
            return await super().read()
        finally:
            self._is_waited_for = False


def find_inlet(socket: AnySocket) -> Inlet | None:
    """The open socket's inlet; None where it has none, and is to be read in the ordinary way."""
    reader = getattr(socket, "_reader", None)
    return reader if isinstance(reader, Inlet) else None
