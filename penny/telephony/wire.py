"""Asking a SIP peer over UDP, TCP or TLS: a request, sent again over UDP, and its final answer."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from penny.telephony.sip import (
    MAX_ANSWER_BYTES,
    Answer,
    Peer,
    answers,
    build_request,
    parse_answer,
)


@dataclass(frozen=True, slots=True)
class Timing:
    """SIP's T1, after which a request over UDP is sent again, doubled each time; and the most."""

    t1_s: float = 0.5
    limit_s: float = 4.0
    other_s: float = 2.0
    """How long another transport has, where the configured one does not answer."""


class Silence(Exception):
    """There was no answer. ``code``: ``no_answer``, ``port_closed``, ``certificate_refused``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Sender = Callable[[bytes], object]


class Way:
    """A connection to one peer. ``write`` sends, ``incoming`` has what came, None at its end."""

    def __init__(self, peer: Peer, write: Sender, incoming: asyncio.Queue[bytes | None]) -> None:
        self.peer = peer
        self._write = write
        self._incoming = incoming
        self._call_id, self._tag = secrets.token_hex(12), secrets.token_hex(6)
        self._cseq = 0

    async def ask(self, method: str, timing: Timing, more: str = "") -> tuple[Answer, float]:
        """The final answer, and how long it took in seconds. Raises Silence."""
        self._cseq += 1
        branch = secrets.token_hex(10)
        request = build_request(
            method, self.peer, branch, self._call_id, self._tag, self._cseq, more
        )
        clock = asyncio.get_running_loop().time
        began, again_s = clock(), timing.t1_s
        try:
            async with asyncio.timeout(timing.limit_s):
                while True:
                    self._write(request)
                    wait_s = again_s if self.peer.transport == "udp" else timing.limit_s
                    try:
                        async with asyncio.timeout(wait_s):
                            answer = await self._answer(branch, method)
                            return answer, clock() - began
                    except TimeoutError:
                        again_s *= 2
        except TimeoutError:
            raise Silence("no_answer") from None

    async def _answer(self, branch: str, method: str) -> Answer:
        while (data := await self._incoming.get()) is not None:
            answer = parse_answer(data)
            if answer is not None and answers(answer, branch, self._call_id, self._cseq, method):
                return answer
        raise Silence("port_closed")


class _Datagrams(asyncio.DatagramProtocol):
    """A connected UDP socket: what it brings, and a port that is closed, go to a queue."""

    def __init__(self, incoming: asyncio.Queue[bytes | None]) -> None:
        self._incoming = incoming

    def datagram_received(self, data: bytes, _address: object) -> None:
        if not self._incoming.full():
            self._incoming.put_nowait(data)

    def error_received(self, _error: Exception) -> None:
        if not self._incoming.full():
            self._incoming.put_nowait(None)


@asynccontextmanager
async def connect(peer: Peer, address: str, limit_s: float) -> AsyncIterator[Way]:
    """A way to ``address``, which ``peer.host`` resolved to. Raises Silence."""
    incoming: asyncio.Queue[bytes | None] = asyncio.Queue(64)
    if peer.transport == "udp":
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(incoming), remote_addr=(address, peer.port)
            )
        except OSError:
            raise Silence("no_answer") from None
        try:
            yield Way(_from(peer, transport), transport.sendto, incoming)
        finally:
            transport.close()
        return
    reader, writer = await _dial(peer, address, limit_s)
    reading = asyncio.create_task(_read(reader, incoming), name="sip answers")
    try:
        yield Way(_from(peer, writer.transport), writer.write, incoming)
    finally:
        reading.cancel()
        writer.transport.abort()
        await asyncio.gather(reading, return_exceptions=True)


async def _dial(
    peer: Peer, address: str, limit_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context() if peer.transport == "tls" else None
    name = peer.host.strip("[]") if context is not None else None
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.open_connection(
                address, peer.port, ssl=context, server_hostname=name, limit=MAX_ANSWER_BYTES
            )
    except ssl.SSLCertVerificationError:
        raise Silence("certificate_refused") from None
    except ConnectionRefusedError:
        raise Silence("port_closed") from None
    except (OSError, TimeoutError):
        raise Silence("no_answer") from None


async def _read(reader: asyncio.StreamReader, incoming: asyncio.Queue[bytes | None]) -> None:
    """Answers of a stream, cut at their heads: none that is asked for needs its body."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            answer = parse_answer(head.lstrip())
            if answer is not None:
                await incoming.put(head.lstrip())
                length = answer.first("content-length")
                is_number = length.isascii() and length.isdigit() and len(length) < 10
                await reader.readexactly(min(int(length), MAX_ANSWER_BYTES) if is_number else 0)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        await incoming.put(None)


def _from(peer: Peer, transport: asyncio.BaseTransport) -> Peer:
    host, port = transport.get_extra_info("sockname")[:2]
    return replace(peer, local=(str(host), int(port)))
