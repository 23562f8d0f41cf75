"""Whether a WebSocket takes a small message at once, so that nobody has to be able to wait for it.

A send waits only when the transport holds more than its high-water mark (64 KiB). A message that
is begun far below the mark is written in the same step, and the hop through a queue and a second
task, which is there for a peer that reads nothing, can be left out: at fifty sessions such a hop
costs a tenth of all that a frame costs.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web


ROOM_BYTES = 32_768
"""Unsent bytes up to which a socket has room: half of the mark."""

AnySocket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


class Room:
    """Of one open WebSocket."""

    def __init__(self, socket: AnySocket) -> None:
        # aiohttp shows the transport of neither kind of socket; both keep the same writer.
        writer = getattr(socket, "_writer", None)
        self._transport: asyncio.WriteTransport | None = writer and writer.transport

    def fits(self, n_bytes: int) -> bool:
        """Whether so much more is written at once. False when the connection is closing."""
        transport = self._transport
        return (
            transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() + n_bytes <= ROOM_BYTES
        )
