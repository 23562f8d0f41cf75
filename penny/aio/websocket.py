"""WebSockets for a stream of small messages: a cheap heartbeat, and an inlet.

aiohttp makes a callback of every chunk that it reads, to move the moment of its next ping: a
twelfth of all that a frame costs at fifty sessions. Here the moment is written down, and the timer
that is waiting for it looks when it rings, as aiohttp's does anyway. And the queue behind its
parser is an ``Inlet``, which lets a message be taken in the step in which it arrives.

The hooks are aiohttp's own and not public; the lock file keeps its version. Were an attribute
renamed, these sockets would beat and queue as aiohttp's do, and the tests would tell.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketReader

from penny.aio.inlet import Inlet


MAX_MESSAGE_BYTES = 20 * 1024 * 1024
"""Largest message of a ``ClientSocket``: what ``ws_connect`` was told does not reach it."""


class ServerSocket(web.WebSocketResponse):
    """A client of ours."""

    _inlet: Inlet | None = None

    @property
    def _reader(self) -> Inlet | None:
        return self._inlet

    @_reader.setter
    def _reader(self, queue: WebSocketDataQueue | None) -> None:
        # aiohttp makes its parser of what it finds here afterwards.
        self._inlet = None if queue is None else Inlet(queue, asyncio.get_running_loop())

    def _on_data_received(self) -> None:
        if self._heartbeat_cb is not None and self._heartbeat and self._loop:
            self._heartbeat_when = self._loop.time() + self._heartbeat
        else:
            super()._on_data_received()  # after a ping: what comes is as good as its pong


class ClientSocket(aiohttp.ClientWebSocketResponse):
    """A server that we are a client of: ``ClientSession(ws_response_class=ClientSocket)``, and
    ``ws_connect(max_msg_size=MAX_MESSAGE_BYTES)``."""

    _own_parser: WebSocketReader | None = None

    def __init__(self, reader: WebSocketDataQueue, *args: Any, **options: Any) -> None:
        super().__init__(Inlet(reader, asyncio.get_running_loop()), *args, **options)

    @property
    def _parser(self) -> WebSocketReader | None:
        return self._own_parser

    @_parser.setter
    def _parser(self, parser: WebSocketReader | None) -> None:
        # aiohttp's own parser feeds aiohttp's own queue; it asks here for the one to use.
        if parser is not None:
            parser = WebSocketReader(
                self._reader, MAX_MESSAGE_BYTES, compress=bool(self._compress), decode_text=True
            )
        self._own_parser = parser

    def _on_data_received(self) -> None:
        if self._heartbeat_cb is not None and self._heartbeat:
            self._heartbeat_when = self._loop.time() + self._heartbeat
        else:
            super()._on_data_received()
