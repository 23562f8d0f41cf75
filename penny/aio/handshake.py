"""Opens WebSockets: takes a client's over from aiohttp, whose routes stand in front, or dials one.

Compression is never agreed on: it would cost every frame of a call more than it saves.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from aiohttp import web
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import CloseCode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from penny.aio.allow_list import AllowList
from penny.aio.websocket import SocketConnection
from penny.errors import ProtocolError


MAX_MESSAGE_BYTES = 20 * 1024 * 1024
MAX_HEAD_BYTES = 32_768
"""Of a server's answer."""
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
        subprotocols: Sequence[str] = (),
    ) -> None:
        self._request = request
        self._heartbeat_s = heartbeat_s
        self._send_limit_s = send_limit_s

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
            is_client=False,
            max_message_bytes=self._max_message_bytes,
            heartbeat_s=self._heartbeat_s,
            send_limit_s=self._send_limit_s,
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


class HandshakeError(ConnectionError):
    """A WebSocket that was not opened. ``status``: of the HTTP answer, where there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


async def dial(
    url: str,
    headers: Mapping[str, str],
    *,
    hosts: AllowList | None = None,
    proxy: str | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    heartbeat_s: float | None = None,
    send_limit_s: float | None = None,
) -> SocketConnection:
    """Open a WebSocket; no redirect is followed.

    Args:
        hosts: checked for the name and each address of the URL's host; None allows all.
        proxy: ``http://host:port`` of an HTTP proxy that tunnels; None: none is asked.

    Raises:
        OSError: it cannot be reached, or may not be (EgressRefused), or refuses (HandshakeError).
    """
    try:
        uri = parse_uri(url)
    except InvalidURI as error:
        raise HandshakeError(str(error)) from error
    connection = SocketConnection(
        is_client=True,
        max_message_bytes=max_message_bytes,
        heartbeat_s=heartbeat_s,
        send_limit_s=send_limit_s,
    )
    codec = ClientProtocol(uri, logger=_quiet)
    request = codec.connect()
    request.headers.update(headers)
    codec.send_request(request)
    dialling = _Dialling(codec, connection)
    if proxy is None:
        opened = await _connect(uri.host, uri.port, hosts)
    else:
        opened = await _connect_through(proxy, uri.host, uri.port)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: dialling,
            sock=opened,
            ssl=_trust() if uri.secure else None,
            server_hostname=uri.host if uri.secure else None,
        )
    except BaseException:
        opened.close()
        raise
    try:
        await dialling.answered
    except BaseException:
        transport.abort()
        raise
    return connection


class _Dialling(asyncio.Protocol):
    """A client's handshake; ``answered`` when ``connection`` has the transport. Raises there what
    the answer was instead."""

    def __init__(self, codec: ClientProtocol, connection: SocketConnection) -> None:
        self._codec = codec
        self._connection = connection
        self._head = b""
        self._transport: asyncio.Transport
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.writelines(self._codec.data_to_send())

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if self.answered.done() or (not end and len(head) < MAX_HEAD_BYTES):
            return
        status = head.split(b" ", 2)[1:2]
        if status != [b"101"]:
            number = int(status[0]) if status and status[0].isdigit() else None
            self._refuse(f"HTTP {number}", number)
            return
        self._codec.receive_data(head + end)
        if self._codec.handshake_exc is not None:
            self._refuse(str(self._codec.handshake_exc), 101)
            return
        self._transport.set_protocol(self._connection)
        self._connection.connection_made(self._transport)
        if rest:
            self._connection.data_received(rest)
        self.answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answered.done():
            self._refuse(f"closed before it was answered: {error or 'in order'}", None)

    def _refuse(self, reason: str, status: int | None) -> None:
        self.answered.set_exception(HandshakeError(f"no WebSocket: {reason}", status))


async def _connect(host: str, port: int, hosts: AllowList | None) -> socket.socket:
    """Connect to the first address of a host that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    if hosts is not None:
        hosts.check(host, port)
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if hosts is not None:
        hosts.learn(host, [str(address[0]) for *_, address in found])
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        if hosts is not None:
            hosts.check(str(address[0]), port)
        candidate = socket.socket(family, kind, protocol)
        candidate.setblocking(False)
        try:
            await loop.sock_connect(candidate, address)
        except OSError as error:
            candidate.close()
            failure = error
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise failure


async def _connect_through(proxy: str, host: str, port: int) -> socket.socket:
    """A tunnel through an HTTP proxy (``CONNECT``). Raises OSError."""
    loop, where = asyncio.get_running_loop(), urlsplit(proxy)
    opened = await _connect(where.hostname or "", where.port or 80, None)
    try:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
        if where.username:
            user = f"{unquote(where.username)}:{unquote(where.password or '')}"
            head += f"Proxy-Authorization: Basic {b64encode(user.encode()).decode()}\r\n"
        await loop.sock_sendall(opened, f"{head}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MAX_HEAD_BYTES:
            # Byte by byte: what follows the head belongs to the tunnel.
            byte = await loop.sock_recv(opened, 1)
            if not byte:
                break
            answer += byte
        if answer.split(b" ", 2)[1:2] != [b"200"]:
            raise HandshakeError(f"the proxy {where.hostname} opens no tunnel")
    except BaseException:
        opened.close()
        raise
    return opened


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The system's certificates: reading them takes tens of milliseconds."""
    return ssl.create_default_context()
