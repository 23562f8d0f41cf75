"""A SIP server on loopback: answers OPTIONS and REGISTER as a carrier does, and refuses the rest.

It asks for a digest (RFC 2617, RFC 8760), binds nothing, and answers 400 to whatever is not a
whole request.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


NEEDED = ("via", "max-forwards", "from", "to", "call-id", "cseq", "content-length")


@dataclass
class SipPeer:
    """What it answers, and the requests it was sent.

    Args:
        options: status of OPTIONS.
        drops: requests that are lost before one is answered.
        algorithm: of its challenge.
        challenges_again: a wrong password is challenged again instead of refused.
    """

    user: str = "acme"
    password: str = "secreto"
    options: int = 200
    drops: int = 0
    algorithm: str = "MD5"
    register: int = 200
    challenges_again: bool = False
    silent: bool = False
    port: int = 0
    requests: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        return [request.split(" ", 1)[0] for request in self.requests]

    def answer(self, data: bytes) -> bytes | None:
        text = data.decode("ascii")
        self.requests.append(text)
        if self.silent or self.drops > 0:
            self.drops -= 1
            return None
        lines = text.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        method, uri = lines[0].split(" ")[:2]
        whole = text.endswith("\r\n\r\n") and all(name in headers for name in NEEDED)
        whole = (
            whole and ";branch=z9hG4bK" in headers["via"] and "\n" not in text.replace("\r\n", "")
        )
        whole = whole and headers["cseq"].endswith(f" {method}") and ";tag=" in headers["from"]
        if not whole:
            self.malformed.append(text)
            return self._reply(headers, "400 Bad Request")
        if method == "OPTIONS":
            return self._reply(headers, f"{self.options} Told")
        if method == "REGISTER" and "contact" not in headers:
            return self._registered(headers, uri)
        self.malformed.append(text)
        return self._reply(headers, "405 Method Not Allowed")

    def _registered(self, headers: dict[str, str], uri: str) -> bytes:
        shown = headers.get("authorization", "")
        challenge = (
            f'WWW-Authenticate: Digest realm="carrier", nonce="n0nce", qop="auth", '
            f"algorithm={self.algorithm}\r\n"
        )
        if not shown:
            return self._reply(headers, "401 Unauthorized", challenge)
        told = dict(re.findall(r'(\w+)="?([^",]+)"?', shown))
        made = hashlib.md5 if self.algorithm == "MD5" else hashlib.sha256
        ha1 = made(f"{self.user}:carrier:{self.password}".encode()).hexdigest()
        ha2 = made(f"REGISTER:{uri}".encode()).hexdigest()
        middle = f"n0nce:{told['nc']}:{told['cnonce']}:auth"
        if told["response"] == made(f"{ha1}:{middle}:{ha2}".encode()).hexdigest():
            return self._reply(headers, f"{self.register} Told")
        if self.challenges_again:
            return self._reply(headers, "401 Unauthorized", challenge)
        return self._reply(headers, "403 Forbidden")

    def _reply(self, headers: dict[str, str], status: str, more: str = "") -> bytes:
        return (
            f"SIP/2.0 {status}\r\n"
            f"v: {headers.get('via', '')};received=127.0.0.1\r\n"
            f"From: {headers.get('from', '')}\r\n"
            f"To: {headers.get('to', '')};tag=peer\r\n"
            f"i: {headers.get('call-id', '')}\r\n"
            f"CSeq: {headers.get('cseq', '')}\r\n"
            f"Server: Carrier 1.0\r\n{more}"
            f"Content-Length: 0\r\n\r\n"
        ).encode()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, peer: SipPeer) -> None:
        self._peer = peer

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._peer.answer(data)
        if answer is not None:
            self._transport.sendto(b"\x00\x00\x00\x00", address)  # a keep-alive: no answer
            self._transport.sendto(answer, address)


@asynccontextmanager
async def listening_udp(peer: SipPeer, host: str = "127.0.0.1") -> AsyncIterator[SipPeer]:
    """The peer on a port of its own, by UDP."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(peer), local_addr=(host, 0))
    peer.port = transport.get_extra_info("sockname")[1]
    try:
        yield peer
    finally:
        transport.close()


@asynccontextmanager
async def listening_tcp(peer: SipPeer) -> AsyncIterator[SipPeer]:
    """The peer on a port of its own, by TCP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                answer = peer.answer(await reader.readuntil(b"\r\n\r\n"))
                if answer is not None:
                    writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await server.wait_closed()
