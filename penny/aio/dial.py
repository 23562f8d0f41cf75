"""Dials WebSockets. The ``picows`` library opens them, and reads, masks and writes their frames.

Compression is never agreed on: it would cost every frame of a call more than it saves.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import structlog
from picows import (
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSTransport,
    ws_connect,
)
from python_socks import ProxyError

from penny.aio.allow_list import AllowList
from penny.aio.frames import BINARY, CLOSE, FragmentJoiner, FrameError
from penny.aio.handshake import MAX_MESSAGE_BYTES
from penny.aio.websocket import SocketConnection


log = structlog.get_logger()

_TYPES = {int(kind.value): kind for kind in WSMsgType}
_quiet = logging.getLogger("penny.dial")
_quiet.setLevel(logging.CRITICAL)  # what fails is told by this module and the connection


class HandshakeError(ConnectionError):
    """A WebSocket that was not opened. ``status``: of the HTTP answer, where there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class DialledConnection(SocketConnection, WSListener):
    """A WebSocket that this side opened."""

    def __init__(
        self,
        *,
        max_message_bytes: int,
        heartbeat_s: float | None = None,
        send_limit_s: float | None = None,
    ) -> None:
        super().__init__(
            max_message_bytes=max_message_bytes,
            heartbeat_s=heartbeat_s,
            send_limit_s=send_limit_s,
        )
        self._joiner = FragmentJoiner(max_message_bytes)
        self._socket: WSTransport

    def send_text(self, data: bytes) -> None:
        if self.is_open:
            self._socket.send(WSMsgType.TEXT, data)

    def send_binary(self, data: bytes) -> None:
        if self.is_open:
            self._socket.send(WSMsgType.BINARY, data)

    def _write_control(self, opcode: int, payload: bytes) -> None:
        self._socket.send(_TYPES[opcode], payload)

    # -- picows' side -------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self._socket = transport
        self._ending = asyncio.create_task(self._end(transport), name="dialled connection's end")
        self.connection_made(transport.underlying_transport)

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """One frame came."""
        if self._close_code is not None:
            return
        self._silent = 0
        kind = frame.msg_type
        try:
            if kind is WSMsgType.TEXT and frame.fin and not self._joiner.begun:
                message: str | bytes = frame.get_payload_as_utf8_text()
            elif kind.value >= CLOSE:
                self._on_control(kind.value, frame.get_payload_as_bytes())
                return
            else:
                payload = frame.get_payload_as_bytes()
                whole = self._joiner.add(kind.value, payload, fin=frame.fin)
                if whole is None:
                    return
                message = whole[1] if whole[0] == BINARY else whole[1].decode()
        except FrameError as error:
            self._fail(error.code, str(error))
            return
        except UnicodeDecodeError:
            self._fail(1007, "text must be UTF-8")
            return
        try:
            self._deliver(message)
        except Exception:
            self._refuse()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """The connection is gone."""
        self.connection_lost(None)

    @staticmethod
    async def _end(transport: WSTransport) -> None:
        """Take the library's own reason for an end, which it would report as lost otherwise."""
        try:
            await transport.wait_disconnected()
        except WSError as error:
            log.warning("protocol_broken", reason=str(error))


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
    connection = DialledConnection(
        max_message_bytes=max_message_bytes, heartbeat_s=heartbeat_s, send_limit_s=send_limit_s
    )
    opened: list[socket.socket] = []

    async def connect(at: WSParsedURL) -> socket.socket:
        opened.append(await _connect(str(at.host), int(at.port), None if proxy else hosts))
        return opened[0]

    opening = asyncio.ensure_future(
        ws_connect(
            lambda _request, _response: connection,
            url,
            ssl_context=_trust() if url.startswith("wss:") else None,
            websocket_handshake_timeout=None,
            logger_name=_quiet,
            enable_auto_pong=False,
            max_frame_size=max_message_bytes,
            extra_headers=dict(headers),
            max_redirects=0,
            proxy=proxy,
            socket_factory=connect,
            use_aiofastnet=False,
        )
    )
    try:
        _, listener = await asyncio.shield(opening)
    except asyncio.CancelledError:
        await _abandon(opening, opened)
        raise
    except WSHandshakeError as error:
        status = int(error.response.status) if error.response is not None else None
        raise HandshakeError(f"no WebSocket: HTTP {status}", status) from error
    except ProxyError as error:
        where = urlsplit(proxy or "").hostname
        raise HandshakeError(f"the proxy {where} opens no tunnel") from error
    except (WSError, ValueError) as error:
        raise HandshakeError(f"no WebSocket: {error}") from error
    if listener is None:
        raise HandshakeError("no WebSocket: closed before it was answered")
    return connection


async def _abandon(opening: asyncio.Future[Any], opened: list[socket.socket]) -> None:
    """End an opening that is not waited for: the library would leave its connection open."""
    if not opened:
        opening.cancel()
    for each in opened:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    await asyncio.gather(opening, return_exceptions=True)


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


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The system's certificates: reading them takes tens of milliseconds."""
    return ssl.create_default_context()
