"""Writes small messages into a WebSocket in the step in which they are there.

A send is a chain of coroutines because it may have to wait, which it does only when the transport
holds more than its high-water mark (64 KiB). Far below the mark a message is written at once, and
the queue and the second task that are there for a peer that reads nothing are left out. At fifty
sessions that is a third of what a session adds to a bare relay.

The hook is aiohttp's own and not public. Were it renamed nothing would be written here, every
message would take the way of those that may have to wait, and the test of this file would tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web


ROOM_BYTES = 32_768
"""Unsent bytes up to which a message is written: half of the mark, and as much for the message."""

AnySocket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


class Outlet:
    """Of one open WebSocket, without compression."""

    def __init__(self, socket: AnySocket) -> None:
        self._writer: Any = getattr(socket, "_writer", None)
        self._write: Callable[[bytes, int, int], None] | None = None
        if self._writer is not None and not self._writer.compress:
            self._write = getattr(self._writer, "_write_websocket_frame", None)

    def write(self, data: bytes, kind: WSMsgType) -> bool:
        """Write one message. False: it was not written, and has to be sent by who can wait."""
        if self._write is None or len(data) > ROOM_BYTES:
            return False
        writer = self._writer
        if writer._closing or writer.transport.get_write_buffer_size() > ROOM_BYTES:
            return False
        try:
            self._write(data, kind, 0)
        except ConnectionError:
            return False  # who sends it will meet the same, and knows what to do
        return True
