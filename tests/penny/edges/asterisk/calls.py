"""A telephone edge on a real wire, with Asterisk's side of it, and no session: tests are it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import aiohttp
from aiohttp import web

from penny.aio.handshake import Upgrade
from penny.edges.asterisk.announced import Places
from penny.edges.asterisk.audiosocket import AudioSocketWire
from penny.edges.asterisk.media import MediaWire
from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.ticker import Ticker
from tests.doubles.asterisk_peers import AudioSocketPeer, WebSocketPeer
from tests.doubles.phone_wire import PhoneCall, Sink


AsteriskWire = AudioSocketWire | MediaWire
Peer = AudioSocketPeer | WebSocketPeer
WIRES = ("audiosocket", "websocket")
PLACES = Places(frozenset({"soporte"}), has_person=False)


class WiredCall(PhoneCall):
    """``PhoneCall`` with a wire in the far side's place."""

    def __init__(self, edge: PhoneEdge, wire: AsteriskWire, peer: Peer) -> None:
        self.edge, self.wire, self.peer = edge, wire, peer
        self.sink = Sink()
        edge.start(self.sink)

    async def until(self, kind: str, within_s: float = 60.0) -> None:
        """Wait until the session was told an event of this kind."""
        async with asyncio.timeout(within_s):
            while not self.sink.of(kind):
                await asyncio.sleep(0.005)

    async def until_closed(self, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s):
            while not self.sink.closed:
                await asyncio.sleep(0.005)


def _edge(wire: AsteriskWire) -> PhoneEdge:
    clock = asyncio.get_running_loop().time
    return PhoneEdge(wire, Ticker(clock), clock)


@asynccontextmanager
async def audiosocket_call() -> AsyncIterator[WiredCall]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[tuple[AudioSocketWire, PhoneEdge]] = loop.create_future()

    def admit(_id: UUID, wire: AudioSocketWire) -> PhoneEdge:
        edge = _edge(wire)
        made.set_result((wire, edge))
        return edge

    server = await loop.create_server(lambda: AudioSocketWire(admit, PLACES), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        peer = await AudioSocketPeer.call(uuid4(), "127.0.0.1", port)
        wire, edge = await made
        call = WiredCall(edge, wire, peer)
        yield call
        await edge.aclose("operator", {})
        peer.hang_up()
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def websocket_call(*, late_start: bool = False) -> AsyncIterator[WiredCall]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[tuple[MediaWire, PhoneEdge]] = loop.create_future()

    async def serve(request: web.Request) -> web.Response:
        upgrade = Upgrade(request, heartbeat_s=2.0, send_limit_s=3.0, subprotocols=("media",))
        async with upgrade.accepted() as connection:
            wire = MediaWire(connection, PLACES)
            wire.edge = edge = _edge(wire)
            connection.start(wire)
            made.set_result((wire, edge))
            await connection.wait_closed()
        return upgrade.response

    app = web.Application()
    app.router.add_get("/media", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/media"
        async with aiohttp.ClientSession() as http:
            peer = await WebSocketPeer.call(uuid4(), http, url, late_start=late_start)
            wire, edge = await made
            call = WiredCall(edge, wire, peer)
            yield call
            await edge.aclose("operator", {})
            await peer.hang_up()
    finally:
        await runner.cleanup()
