"""What a connection sends: events in order, and the close that ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from penny.aio.channel import Channel, ChannelClosed
from penny.aio.tasks import TaskOwner
from penny.realtime.commands import Hangup


log = structlog.get_logger()

Json = dict[str, Any]

EVENTS = 20_000
"""About seven minutes of 20 ms deltas. A client that lets that much pile up is gone in all but
name: the connection ends with 1008 rather than eat the worker's memory."""
ROOM_BYTES = 4 * 1024 * 1024
"""While more waits to be sent nothing more is taken of the client: it may have asked a hundred
times for an item of megabytes."""


class Outbound:
    """One connection's queue to its socket. ``run`` is the only writer."""

    def __init__(
        self,
        tasks: TaskOwner,
        send_event: Callable[[Json], Awaitable[None]],
        hang_up: Callable[[Hangup], Coroutine[Any, Any, None]],
    ) -> None:
        self._tasks = tasks
        self._send_event = send_event
        self._hang_up = hang_up
        self._entries: Channel[Json | Hangup] = Channel(EVENTS, on_full="pause")
        self._waiting_bytes = 0
        self._sent = asyncio.Event()

    def put(self, entry: Json | Hangup) -> None:
        """Queue an event or the close; after the end nothing is taken."""
        try:
            fits = self._entries.try_send(entry)
        except ChannelClosed:
            return
        if not fits:
            log.warning("client_does_not_read")
            self.break_off(Hangup(1008, "client does not read"))
        elif not isinstance(entry, Hangup):
            self._waiting_bytes += _weigh(entry)

    async def room(self) -> None:
        """Wait while too much waits to be sent."""
        while self._waiting_bytes > ROOM_BYTES and not self._entries.closed:
            self._sent.clear()
            await self._sent.wait()

    def break_off(self, hangup: Hangup) -> None:
        """Close the socket past what waits, unless it is closed already."""
        if not self._entries.closed:
            self.close()
            self._tasks.spawn(self._hang_up(hangup), name="hangup")

    def close(self) -> None:
        """Send nothing more."""
        self._entries.close()
        self._sent.set()

    async def run(self) -> None:
        """Send until a close was sent or ``close`` was called."""
        async for entry in self._entries:
            if isinstance(entry, Hangup):
                await self._hang_up(entry)
                return
            await self._send_event(entry)
            self._waiting_bytes -= _weigh(entry)
            self._sent.set()


def _weigh(value: Any) -> int:
    """The characters in it: about the bytes of its JSON."""
    if isinstance(value, dict):
        return sum(map(_weigh, value.values()))
    if isinstance(value, list):
        return sum(map(_weigh, value))
    return len(value) if isinstance(value, str) else 0
