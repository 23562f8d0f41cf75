"""Takes a client's WebSocket over from aiohttp, whose routes stand in front.

Compression is never agreed on: it would cost every frame of a call more than it saves.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from websockets.frames import CloseCode
from websockets.server import ServerProtocol

from penny.aio.websocket import SocketConnection
from penny.errors import ProtocolError


MAX_MESSAGE_BYTES = 20 * 1024 * 1024
_TAKEN_OVER = (b"upgrade", b"connection", b"host")
_quiet = logging.getLogger("penny.websocket")
_quiet.setLevel(logging.WARNING)  # at debug the library logs the frames, and what was said in them


class Upgrade:
    """A request for a WebSocket, checked and not answered yet.

    Raises:
        ProtocolError: ``upgrade_required``: it is none, or not one of RFC 6455.
    """

    def __init__(
        self,
        request: web.Request,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        heartbeat_s: float | None = None,
        send_limit_s: float | None = None,
        messages_per_s: float | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        self._request = request
        self._heartbeat_s = heartbeat_s
        self._send_limit_s = send_limit_s
        self._messages_per_s = messages_per_s

        def choose(_codec: ServerProtocol, offered: Sequence[Any]) -> Any:
            return next((name for name in subprotocols if name in offered), None)

        self._max_message_bytes = max_message_bytes
        self._codec = ServerProtocol(select_subprotocol=choose, logger=_quiet)
        head = [b"GET / HTTP/1.1"]
        for name, value in request.raw_headers:
            if name.lower() in _TAKEN_OVER or name.lower().startswith(b"sec-websocket-"):
                head.append(name + b": " + value)
        self._codec.receive_data(b"\r\n".join([*head, b"", b""]))
        requests = self._codec.events_received()
        if request.method == "GET" and requests:
            self._answer = self._codec.accept(requests[0])  # type: ignore[arg-type]  # a Request
            if self._answer.status_code == 101:
                return
        raise ProtocolError("connect with a WebSocket; this is no page", code="upgrade_required")

    @asynccontextmanager
    async def accepted(self) -> AsyncIterator[SocketConnection]:
        """Take the connection over from aiohttp; when this is left it is closed.

        Raises:
            ConnectionResetError: the client has left meanwhile.
        """
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        connection = SocketConnection(
            max_message_bytes=self._max_message_bytes,
            heartbeat_s=self._heartbeat_s,
            send_limit_s=self._send_limit_s,
            messages_per_s=self._messages_per_s,
            owner=transport.get_protocol(),
        )
        self._codec.send_response(self._answer)
        transport.set_protocol(connection)
        transport.writelines(self._codec.data_to_send())
        connection.connection_made(transport)
        transport.resume_reading()
        try:
            yield connection
        finally:
            await connection.close(CloseCode.GOING_AWAY)

    @property
    def response(self) -> web.Response:
        """What an aiohttp handler returns after ``accepted``; the socket is closed by then."""
        return web.Response()
