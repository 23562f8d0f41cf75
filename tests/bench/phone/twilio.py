"""E1, E2, E4, E6, E7, E8, E13 and E16 on Twilio's wire, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import aiohttp
import numpy as np
from aiohttp import web

from penny.aio.handshake import Upgrade
from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.telephone.ticker import Ticker
from penny.edges.twilio.wire import HEARTBEAT_S, SEND_LIMIT_S, TwilioWire
from tests.bench.phone.row import Measure, Row, percentiles
from tests.doubles.phone_wire import PhoneCall
from tests.doubles.twilio_stream import TwilioStream


WIRE = "twilio"
LINE = AudioFormat("pcmu", 8000)
CALLS, TICKED_S = 50, 20.0
INTERRUPTIONS = 30
LAST_WORDS, AT_ONCE = 100, 10
ENTRIES, ENTRY = 10, "123456789#"
STALLS_S = (0.010, 0.025, 0.100, 0.500)


class Line:
    """A server of streams: each connection is a call whose session is in the bench's hands."""

    def __init__(
        self,
        on_late: Callable[[float], object] = lambda _late_s: None,
        heartbeat_s: float | None = HEARTBEAT_S,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self.ticker = Ticker(asyncio.get_running_loop().time, on_late)
        self.calls: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self.url = ""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        upgrade = Upgrade(
            request,
            max_message_bytes=65_536,
            heartbeat_s=self._heartbeat_s,
            send_limit_s=SEND_LIMIT_S,
        )
        async with upgrade.accepted() as connection:
            sid = request.query["sid"]

            async def transfer(_destination: str, _summary: str) -> bool:
                return False

            async def end() -> None:
                return None

            async def again() -> bool:
                return False

            wire = TwilioWire(connection, sid, lambda _name: False, transfer, end, again)
            call = PhoneCall(wire, self.ticker)
            connection.start(wire)
            await self.calls.put(call)
            await connection.wait_closed()
            await call.edge.aclose("client_gone", {})
        return upgrade.response

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Line]:
        app = web.Application()
        app.router.add_get("/", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield self
        finally:
            await runner.cleanup()


MEDIA = b'"event":"media"'


class Deaf(asyncio.Protocol):
    """A far end that asks for a stream and plays what it gets by the clock, without a look at it.

    ``underruns`` counts how often it had nothing to play while more was to come.
    """

    def __init__(self) -> None:
        self.underruns = self.frames = 0
        self._until_s = 0.0
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        frames = data.count(MEDIA)
        self._rest = data[data.rfind(MEDIA) + len(MEDIA) :][-len(MEDIA) :] if frames else data[-14:]
        now_s = asyncio.get_running_loop().time()
        if frames and self.frames and now_s > self._until_s:
            self.underruns += 1
        if frames:
            self._until_s = max(self._until_s, now_s) + 0.02 * frames
            self.frames += frames

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"GET /?sid=MZ1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )


@asynccontextmanager
async def talking(line: Line) -> AsyncIterator[tuple[PhoneCall, TwilioStream]]:
    """One call, both its ends."""
    async with aiohttp.ClientSession() as http:
        sid = "MZ" + "0" * 32
        async with http.ws_connect(line.url, params={"sid": sid}) as socket:
            stream = TwilioStream(socket, "CA1", {})
            stream.sid = sid
            running = asyncio.ensure_future(stream.run())
            try:
                yield await line.calls.get(), stream
            finally:
                await socket.close()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


async def measure_lateness() -> Row:
    """One process and loop serve 50 calls that all speak; the far ends discard what they get."""
    loop = asyncio.get_running_loop()
    alone: list[float] = []
    null = Ticker(loop.time, alone.append)

    def nothing(_slot_s: float) -> None:
        return None

    null.join(nothing)
    await asyncio.sleep(TICKED_S / 2)
    null.leave(nothing)
    late: list[float] = []
    async with Line(late.append, heartbeat_s=None).listening() as line:
        address = urlsplit(line.url)
        deaf = [
            await loop.create_connection(Deaf, address.hostname, address.port) for _ in range(CALLS)
        ]
        calls = [await line.calls.get() for _ in range(CALLS)]
        for call in calls:
            call.edge.hear(b"\xff" * 160)  # who is never heard is not connected
            call.answer(round(TICKED_S * 1000))
        late.clear()
        await asyncio.sleep(TICKED_S - 1)
        shifted = line.ticker.grid.shifted
        underruns = sum(far.underruns for _, far in deaf)
        assert all(far.frames >= 50 * (TICKED_S - 2) for _, far in deaf)
        for transport, _ in deaf:
            transport.abort()
    p99, p99_alone = (1000 * float(np.quantile(each, 0.99)) for each in (late, alone))
    figures = {"p99_ms": p99, "null_p99_ms": p99_alone, "shifts": float(shifted)}
    figures["underruns"] = float(underruns)
    ok = (p99 <= 5.0 or p99 <= 1.5 * p99_alone) and not underruns
    limit = "p99 <= 5 ms, or <= 1.5 of a null ticker's; 0 underruns"
    what = f"lateness of slots with {CALLS} calls speaking"
    return Row("E1", what, WIRE, {k: round(v, 2) for k, v in figures.items()}, limit, ok)


async def measure_bursts() -> Row:
    """Slots that one wake-up serves after the loop stood still."""
    figures: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    for stalled_s in STALLS_S:
        slots: list[float] = []
        ticker = Ticker(loop.time)

        def tick(_slot_s: float, slots: list[float] = slots) -> None:
            slots.append(loop.time())

        ticker.join(tick)
        await asyncio.sleep(0.31)
        time.sleep(stalled_s)  # the stall itself
        await asyncio.sleep(0.3)
        ticker.leave(tick)
        bursts = [sum(0 <= other - at < 0.005 for other in slots) for at in slots]
        figures[f"{round(stalled_s * 1000)}ms_frames"] = float(max(bursts))
    ok = max(figures.values()) <= 3
    return Row("E2", "frames at once after a stall", WIRE, figures, "<= 3", ok)


async def measure_first_byte() -> Row:
    """From a voice's first piece to the first message on the far side."""
    times = []
    async with Line().listening() as line, talking(line) as (call, stream):
        for number in range(40):
            await asyncio.sleep(0.11 + number * 0.003)
            before = len(stream.received)
            at_s = asyncio.get_running_loop().time()
            call.answer(60, f"resp_{number}", f"item_{number}")
            while len(stream.received) == before:
                await asyncio.sleep(0.0005)
            times.append((stream.received[before][0] - at_s) * 1000)
    figures = percentiles(times)
    limit = "p50 <= 25 ms, p95 <= 45"
    ok = figures["p50_ms"] <= 25 and figures["p95_ms"] <= 45
    return Row("E4", "first sound of an answer to the wire", WIRE, figures, limit, ok)


async def interrupt() -> tuple[list[float], list[float]]:
    """How soon ``clear`` was there, and the error of the position told (ms)."""
    clears, errors = [], []
    loop = asyncio.get_running_loop()
    async with Line().listening() as line, talking(line) as (call, stream):
        for number in range(INTERRUPTIONS):
            before, told = stream.loud_ms(), len(call.sink.events)
            call.answer(4000, f"resp_{number}", f"item_{number}")
            while stream.loud_ms() < before + 300 + 140 * number % 800:
                await asyncio.sleep(0.003)
            at_s, count = loop.time(), len(stream.clears)
            call.speech()
            while len(stream.clears) == count:
                await asyncio.sleep(0.0005)
            clears.append((stream.clears[-1] - at_s) * 1000)
            await asyncio.sleep(0.1)
            [cut] = [
                event
                for event in call.sink.events[told:]
                if event["type"] == "conversation.item.truncate"
            ]
            errors.append(cut["audio_end_ms"] - (stream.loud_ms() - before))
    return clears, errors


async def measure_stop() -> Row:
    figures = percentiles((await interrupt())[0])
    what = "`clear` at the far side after an interruption"
    return Row("E6", what, WIRE, figures, "p95 <= 5 ms", figures["p95_ms"] <= 5)


async def measure_position() -> Row:
    errors = (await interrupt())[1]
    figures = percentiles([abs(error) for error in errors])
    figures["most_over_ms"] = float(max(errors))
    ok = figures["p95_ms"] <= 60 and figures["most_over_ms"] <= 60
    limit = "p95 <= 60 ms, never over by 60"
    return Row("E7", "position told beside what was heard", WIRE, figures, limit, ok)


async def measure_resampling() -> Row:
    """Tones that the line cannot carry, and the length of what went through with its tail."""
    aliases = []
    at = np.arange(24_000) / 24_000
    for hz in (4600, 5000, 6000, 8000, 11_000):
        tone = (12_000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()
        converter = Converter(PCM24K, AudioFormat("pcm16", 8000))
        out = np.frombuffer(converter.process(tone) + converter.flush(), "<i2").astype(float)
        aliases.append(
            20 * np.log10(np.sqrt((out[200:-200] ** 2).mean() + 1e-9) / (12_000 / 2**0.5))
        )
    converter = Converter(PCM24K, LINE)
    frames = [converter.process(bytes(960)) for _ in range(50)]
    uneven = sum(len(frame) != 160 for frame in frames)
    click = bytearray(2 * 24_000)
    click[-20:] = b"\x00\x40" * 10
    cut = Converter(PCM24K, AudioFormat("pcm16", 8000))
    head, tail = cut.process(bytes(click)), cut.flush()
    whole = np.frombuffer(head + tail, "<i2").astype(float).sum()
    lost_ms = 10 / 24 * (1 - whole / (10 * 0x4000 / 3))
    figures = {
        "alias_db": round(float(max(aliases)), 1),
        "uneven_frames": float(uneven),
        "tail_lost_ms": round(abs(float(lost_ms)), 2),
    }
    ok = figures["alias_db"] <= -60 and uneven == 0 and figures["tail_lost_ms"] < 0.05
    return Row("E8", "24 to 8 kHz", WIRE, figures, "<= -60 dB from 4.6 kHz, 0 ms lost", ok)


async def last_word(ms: int) -> bool:
    async with Line().listening() as line, talking(line) as (call, stream):
        call.answer(ms)
        await call.edge.aclose("time_limit", {})
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                await stream.closed.wait()
        # The filter's tail fills the beginning of one frame more.
        return ms <= stream.loud_ms() <= ms + 20


async def measure_last_words() -> Row:
    whole = 0
    for first in range(0, LAST_WORDS, AT_ONCE):
        words = (last_word(200 + 20 * (number // 2)) for number in range(first, first + AT_ONCE))
        whole += sum(await asyncio.gather(*words))
    figures = {"whole": float(whole), "of": float(LAST_WORDS)}
    return Row("E13", "last words heard whole", WIRE, figures, "all", whole == LAST_WORDS)


async def measure_keys() -> Row:
    async with Line().listening() as line, talking(line) as (call, stream):
        for _ in range(ENTRIES):
            for key in ENTRY:
                await stream.press(key)
                await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            while len(call.sink.of("conversation.item.create")) < ENTRIES:
                await asyncio.sleep(0.01)
        items = call.sink.of("conversation.item.create")
        texts = [item["item"]["content"][0]["text"] for item in items]
    right = sum(text == ENTRY.rstrip("#") for text in texts) * len(ENTRY)
    figures = {"keys": float(right), "of": float(ENTRIES * len(ENTRY))}
    ok = right == ENTRIES * len(ENTRY)
    return Row("E16", "keys taken, in order and none twice", WIRE, figures, "all", ok)


ROWS: list[tuple[str, Measure]] = [
    ("E1", measure_lateness),
    ("E2", measure_bursts),
    ("E4", measure_first_byte),
    ("E6", measure_stop),
    ("E7", measure_position),
    ("E8", measure_resampling),
    ("E13", measure_last_words),
    ("E16", measure_keys),
]
