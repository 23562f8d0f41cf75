"""E6, E7 and E13 through a live Asterisk, where ``PENNY_ASTERISK`` names one (``asterisk -rx``).

One call is two connections of ours: the far leg by AudioSocket, and Penny's wire, which the
dialplan reaches through a local channel. Both are of one clock. ``PENNY_ASTERISK_FOLDER`` is the
folder whose ``asterisk/penny_websocket_client.conf`` that Asterisk includes.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from config.telephony import AsteriskSection
from penny.aio.handshake import Upgrade
from penny.edges.asterisk.audiosocket import AudioSocketWire
from penny.edges.asterisk.media import MediaWire
from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.ticker import Ticker
from penny.telephony.asterisk_files import WEBSOCKET_CLIENT, render_files
from penny.telephony.lines import Lines
from tests.bench.phone import asterisk
from tests.bench.phone.row import Measure, Row
from tests.doubles.asterisk_peers import AudioSocketPeer
from tests.penny.edges.asterisk.calls import PLACES, WIRES, WiredCall


CONSOLE = shlex.split(os.environ.get("PENNY_ASTERISK", ""))
FOLDER = Path(os.environ.get("PENNY_ASTERISK_FOLDER", ""))
CONTEXT = "penny-lab"


class FarLeg(AudioSocketPeer):
    """The far leg: Asterisk connects to it, it speaks and hears."""

    def __init__(self, came: asyncio.Queue[FarLeg]) -> None:
        super().__init__(uuid4())
        self._came = came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._talking = self._loop.create_task(self._talk())
        self._came.put_nowait(self)

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == 0x10:
            self._hear(payload)


class Live:
    """Both ends of the calls of one wire."""

    def __init__(self, wire: str) -> None:
        self.wire = wire
        self._legs: asyncio.Queue[FarLeg] = asyncio.Queue()
        self._wires: asyncio.Queue[tuple[AudioSocketWire | MediaWire, PhoneEdge]] = asyncio.Queue()
        self._one = asyncio.Lock()
        self._far = ""
        clock = asyncio.get_running_loop().time
        self._edge = partial(PhoneEdge, ticker=Ticker(clock), clock=clock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Live]:
        """Listen, and have Asterisk find Penny."""
        loop = asyncio.get_running_loop()
        far = await loop.create_server(lambda: FarLeg(self._legs), "127.0.0.1", 0)
        self._far = f"127.0.0.1:{far.sockets[0].getsockname()[1]}"
        near = await loop.create_server(self._make, "127.0.0.1", 0)
        app = web.Application()
        app.router.add_get("/asterisk/media", self._media)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            port = near.sockets[0].getsockname()[1]
            step = f"AudioSocket(${{UUID()}},127.0.0.1:{port})"
            if self.wire == "websocket":
                step = "Dial(WebSocket/penny/c(slin)f(json)v(id=${UUID()}),,g)"
                section = AsteriskSection(gateway_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
                text = render_files(Lines(), section, Path("/x"))[WEBSOCKET_CLIENT]
                (FOLDER / "asterisk" / WEBSOCKET_CLIENT).write_text(text)
                await console("module reload res_websocket_client.so")
            await console(f"dialplan add extension talk,1,Answer() into {CONTEXT} replace")
            await console(f"dialplan add extension talk,2,{step} into {CONTEXT} replace")
            yield self
        finally:
            far.close()
            near.close()
            await runner.cleanup()

    def _make(self) -> AudioSocketWire:
        def admit(_id: object, wire: AudioSocketWire) -> PhoneEdge:
            edge = self._edge(wire)
            self._wires.put_nowait((wire, edge))
            return edge

        return AudioSocketWire(admit, PLACES)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        upgrade = Upgrade(
            request,
            max_message_bytes=65_536,
            heartbeat_s=2.0,
            send_limit_s=3.0,
            subprotocols=("media",),
        )
        async with upgrade.accepted() as connection:
            wire = MediaWire(connection, PLACES)
            wire.edge = self._edge(wire)
            connection.start(wire)
            self._wires.put_nowait((wire, wire.edge))
            await connection.wait_closed()
        return upgrade.response

    @asynccontextmanager
    async def call(self, _wire: str) -> AsyncIterator[WiredCall]:
        """One call, both its ends."""
        async with self._one, asyncio.timeout(30):
            end = f"application AudioSocket {uuid4()},{self._far}"
            await console(f"channel originate Local/talk@{CONTEXT} {end}")
            leg, (wire, edge) = await asyncio.gather(self._legs.get(), self._wires.get())
        try:
            yield WiredCall(edge, wire, leg)
        finally:
            await edge.aclose("operator", {})
            leg.hang_up()


async def console(line: str) -> str:
    """What Asterisk's console says to a line."""
    process = await asyncio.create_subprocess_exec(
        *CONSOLE, line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told
    return told.decode()


def measured_live(make: Callable[..., Measure], wire: str) -> Measure:
    async def row() -> Row:
        version = (await console("core show version")).split()[1]
        async with Live(wire).open() as live:
            return await make(wire, live.call, f"{wire}, Asterisk {version}")()

    return row


ROWS = [
    (name, measured_live(make, wire))
    for name, make in (
        ("E6", asterisk.measure_stop),
        ("E7", asterisk.measure_position),
        ("E13", asterisk.measure_last_words),
    )
    for wire in WIRES
    if CONSOLE
]
