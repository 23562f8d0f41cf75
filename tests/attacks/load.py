"""One caller against all others: the gateway's memory and the others' first audio, measured.

Four callers, two at each door, ask by text, one question after the other, by turns alone (the
attack is frozen) and beside it, so that whatever else the machine does falls upon both. Bar: the
gateway's memory grows by at most ``GROWTH_MB``, the 99th percentile of the others' first audio by
at most ``LATER``, at each door. The short forms hold the first alone: times are figures of a
machine that does nothing else. The long forms hold it for minutes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from statistics import median, quantiles

import aiohttp
import psutil

from tests.attacks.attack import attack
from tests.attacks.availability import own_gateway, talks
from tests.attacks.house import House
from tests.attacks.others import MASK, Deaf, Others, RealtimeOthers, watch_memory
from tests.doubles.processes import ROOT


GROWTH_MB = 32.0
LATER = 1.2
SLACK_MS = 5.0
"""Below this a difference is the scheduler's, not the attack's."""
WARM_S, ROUND_S, ROUNDS = 6.0, 5.0, 8
SHORT_WARM_S, SHORT_S = 2.0, 4.5
SETTLE_S = 1.0
"""After an attack is frozen: what it sent before is still being taken."""
LONG_S = 300.0
FLAT_MB, FLAT_WARM_S, FLAT_S = 8.0, 60.0, 240.0
FLAT_SHORT_MB, FLAT_SHORT_S = 24.0, 10.0
"""What a caller who is lost would be sent again (``resume``) takes longer to fill than that: some
20 kB an answer. The rest of an answer that was cut, had it stayed, would be 140."""


Hurt = Callable[[str, int], Awaitable[None]]


@asynccontextmanager
async def attacking(hurt: Hurt, port: int) -> AsyncIterator[Callable[[signal.Signals], None]]:
    """In a process of its own, which may be frozen, and gives way to who is measured: another
    machine's attack takes no processor of this one's."""
    command = (sys.executable, "-m", "tests.attacks.load", hurt.__name__, str(port))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()  # it begins
    try:
        yield process.send_signal
        assert process.returncode is None, "the attack ended by itself"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


Doors = dict[str, Others]


def at_both_doors(url: str) -> Doors:
    return {"/ws": Others(url, 2), "/v1/realtime": RealtimeOthers(url, 2)}


async def ask_at(doors: Doors, seconds: float) -> dict[str, list[float]]:
    """First audio of each answer, in ms, by door."""
    heard = await asyncio.gather(*(others.ask_for(seconds) for others in doors.values()))
    return dict(zip(doors, heard, strict=True))


async def measure(house: House, name: str, hurt: Hurt) -> str:
    async with own_gateway(house, f"load-{name}") as (gateway, _):
        process, doors = psutil.Process(gateway.process.pid), at_both_doors(gateway.url)
        alone: dict[str, list[float]] = {door: [] for door in doors}
        beside: dict[str, list[float]] = {door: [] for door in doors}
        _, before_mb = await watch_memory(process, ask_at(doors, WARM_S))
        most_mb = before_mb
        async with attacking(hurt, gateway.port) as tell:
            for _ in range(ROUNDS):
                tell(signal.SIGSTOP)
                await asyncio.sleep(SETTLE_S)
                _gather(alone, await ask_at(doors, ROUND_S))
                tell(signal.SIGCONT)
                heard, mb = await watch_memory(process, ask_at(doors, ROUND_S))
                _gather(beside, heard)
                most_mb = max(most_mb, mb)
    p99 = {door: (_p99(alone[door]), _p99(beside[door])) for door in doors}
    told = f"+{most_mb - before_mb:.0f} MB, p99 " + ", ".join(
        f"{door} {was:.0f} -> {now:.0f} ms" for door, (was, now) in p99.items()
    )
    told += f" ({sum(map(len, beside.values()))} answers)"
    assert most_mb - before_mb <= GROWTH_MB, told
    assert all(now <= max(was * LATER, was + SLACK_MS) for was, now in p99.values()), told
    return told


def _gather(into: dict[str, list[float]], heard: dict[str, list[float]]) -> None:
    for door, first_ms in heard.items():
        into[door] += first_ms


def _p99(first_ms: list[float]) -> float:
    return quantiles(first_ms, n=100)[98]


async def measure_long(house: House, name: str, hurt: Hurt) -> str:
    """Memory for minutes, told minute by minute: at most so much more."""
    async with own_gateway(house, f"load-{name}-long") as (gateway, _):
        process, doors = psutil.Process(gateway.process.pid), at_both_doors(gateway.url)
        _, before_mb = await watch_memory(process, ask_at(doors, FLAT_WARM_S))
        most: list[float] = []
        async with attacking(hurt, gateway.port):
            for _ in range(round(LONG_S / FLAT_WARM_S)):
                _, mb = await watch_memory(process, ask_at(doors, FLAT_WARM_S))
                most.append(mb - before_mb)
    told = f"{before_mb:.0f} MB; most in each minute: " + ", ".join(f"+{mb:.0f}" for mb in most)
    assert max(most) <= GROWTH_MB, told
    return told


async def measure_memory(house: House, name: str, hurt: Hurt) -> str:
    """The short form: the first sounds before the attack are told beside those under it."""
    async with own_gateway(house, f"load-{name}-short") as (gateway, _):
        process, others = psutil.Process(gateway.process.pid), Others(gateway.url)
        alone, before_mb = await watch_memory(process, others.ask_for(SHORT_WARM_S))
        async with attacking(hurt, gateway.port):
            beside, most_mb = await watch_memory(process, others.ask_for(SHORT_S))
    told = f"+{most_mb - before_mb:.0f} MB, p50 {median(alone):.0f} -> {median(beside):.0f} ms"
    assert most_mb - before_mb <= GROWTH_MB, told
    return told


def loaded(name: str, title: str) -> Callable[[Hurt], Hurt]:
    """Two attacks of one: for some seconds, and measured."""

    def enter(hurt: Hurt) -> Hurt:
        async def short(house: House) -> str:
            return await measure_memory(house, name, hurt)

        async def whole(house: House) -> str:
            return await measure(house, name, hurt)

        async def long(house: House) -> str:
            return await measure_long(house, name, hurt)

        short.__name__, short.__doc__ = f"{name}_short", f"{title}, {SHORT_S:g} s"
        whole.__name__, whole.__doc__ = name, f"{title}, {ROUNDS} rounds"
        long.__name__, long.__doc__ = f"{name}_long", f"{title}, {LONG_S / 60:g} minutes"
        held = f"memory +{GROWTH_MB:g} MB at most, beside callers"
        if name in SHORT:
            attack("one caller", held)(short)
        HURTS[hurt.__name__] = hurt
        later = f"{held}, whose first audio p99 +20 % at most"
        attack("one caller", f"{later}, at /ws and /v1/realtime", measured=True)(whole)
        if name in LONG:
            attack("one caller", held, measured=True)(long)
        return hurt

    return enter


def unhurt(name: str, title: str, kind: type[Others], recording: str) -> None:
    """Nobody attacks: four callers talk, and the gateway's memory stays where it is."""

    async def measure_growth(house: House, warm_s: float, seconds: float, most: float) -> str:
        calls = {"recording": recording}
        async with own_gateway(house, f"flat-{name}", calls=calls) as (gateway, _):
            process, others = psutil.Process(gateway.process.pid), kind(gateway.url)
            await talks(gateway.url)
            _, before_mb = await watch_memory(process, others.ask_for(warm_s))
            heard, most_mb = await watch_memory(process, others.ask_for(seconds))
        assert heard
        told = f"{before_mb:.0f} -> {most_mb:.0f} MB in {len(heard)} answers"
        assert most_mb - before_mb <= most, told
        return told

    async def short(house: House) -> str:
        return await measure_growth(house, FLAT_SHORT_S, FLAT_SHORT_S, FLAT_SHORT_MB)

    async def whole(house: House) -> str:
        return await measure_growth(house, FLAT_WARM_S, FLAT_S, FLAT_MB)

    short.__name__, short.__doc__ = f"{name}_short", f"{title}, {FLAT_SHORT_S:g} s"
    whole.__name__, whole.__doc__ = name, f"{title}, {FLAT_S:g} s"
    if recording == "on":
        held = f"+{FLAT_SHORT_MB:g} MB at most after the first {FLAT_SHORT_S:g} s"
        attack("nobody attacks", held)(short)
    held = f"+{FLAT_MB:g} MB at most after the first {FLAT_WARM_S:g} s"
    attack("nobody attacks", held, measured=True)(whole)


unhurt("ws_recorded", "four callers at /ws, recorded", Others, "on")
unhurt("ws_not_recorded", "four callers at /ws, not recorded", Others, "off")
unhurt("realtime_recorded", "four callers at /v1/realtime, recorded", RealtimeOthers, "on")
unhurt("realtime_not_recorded", "four callers at /v1/realtime, not recorded", RealtimeOthers, "off")


HURTS: dict[str, Hurt] = {}
SHORT = ("deaf_updates", "burst_of_updates", "tiny_appends", "tiny_fragments")
LONG = ("deaf_updates", "large_messages", "burst_of_updates", "retrieves")


@loaded("deaf_updates", "a 0.7 MB session.update, then tiny ones at 50/s, and nothing is read")
async def deaf_updates(_url: str, port: int) -> None:
    update = {"type": "session.update", "session": {"type": "realtime"}}
    large = {"session": {"type": "realtime", "instructions": "x" * 700_000}}
    while True:
        async with Deaf(port, "/v1/realtime") as client:
            with suppress(ConnectionError):
                await client.send(json.dumps({**update, **large}).encode())
                while True:
                    await client.send(json.dumps(update).encode())
                    await asyncio.sleep(0.02)


@loaded("large_messages", "20 MB messages, one after the other, at /v1/realtime and /ws")
async def large_messages(_url: str, port: int) -> None:
    text = b'{"type": "session.update", "session": {"instructions": "' + b"x" * 20_000_000 + b'"}}'
    while True:
        for path in ("/v1/realtime", "/ws"):
            async with Deaf(port, path) as client:
                with suppress(ConnectionError):
                    await client.send(text)
        await asyncio.sleep(0.5)


@loaded("dense_messages", "messages of 4 MB of empty lists, as fast as they are refused")
async def dense_messages(url: str, _port: int) -> None:
    many = '{"type": "session.update", "session": [' + "[]," * 1_300_000 + "0]}"
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.ws_connect(f"{url}/v1/realtime", max_msg_size=0) as socket:
                while not socket.closed:
                    await socket.send_str(many)
                    if (await socket.receive()).type is not aiohttp.WSMsgType.TEXT:
                        break


@loaded("tiny_fragments", "a message in fragments of one byte and of none, without end")
async def tiny_fragments(_url: str, port: int) -> None:
    pieces = b"".join(bytes((0, 0x80 | size)) + MASK + b"x" * size for size in (0, 1)) * 2_000
    while True:
        async with Deaf(port, "/v1/realtime") as client:
            with suppress(ConnectionError):
                await client.write(b"\x01\x80" + MASK)
                while True:
                    await client.write(pieces)


@loaded("long_appends", "appends of a minute of audio, as fast as they are taken")
async def long_appends(url: str, _port: int) -> None:
    audio = base64.b64encode(bytes(2_880_000)).decode()
    append = json.dumps({"type": "input_audio_buffer.append", "audio": audio})
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.ws_connect(f"{url}/v1/realtime", max_msg_size=0) as socket:
                reading = asyncio.ensure_future(_read(socket))
                with suppress(ConnectionError):
                    while not reading.done():
                        await socket.send_str(append)
                reading.cancel()


@loaded("burst_of_updates", "bursts of 5,000 tiny session.update")
async def burst_of_updates(url: str, _port: int) -> None:
    update = json.dumps({"type": "session.update", "session": {"type": "realtime"}})
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.ws_connect(f"{url}/v1/realtime", max_msg_size=0) as socket:
                reading = asyncio.ensure_future(_read(socket))
                with suppress(ConnectionError):
                    for _number in range(5_000):
                        await socket.send_str(update)
                await asyncio.sleep(1.0)
                reading.cancel()


async def _read(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _message in socket:
        pass


ITEM_CHUNKS = 30
"""Of 4 s each: 5.8 MB of sound are 7.7 MB of an event."""


@loaded("retrieves", "20 retrieves a second of an item of 7.8 MB of audio")
async def retrieves(url: str, _port: int) -> None:
    chunk = base64.b64encode(bytes(48_000 * 4)).decode()
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/realtime", max_msg_size=0) as socket,
    ):
        detection = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await socket.send_json({"type": "session.update", "session": detection})
        for _number in range(ITEM_CHUNKS):
            await socket.send_json({"type": "input_audio_buffer.append", "audio": chunk})
        await socket.send_json({"type": "input_audio_buffer.commit"})
        item_id = ""
        while not item_id:
            event = await socket.receive_json()
            item_id = event.get("item_id", "") if event["type"].endswith(".committed") else ""
        reading = asyncio.ensure_future(_read(socket))
        try:
            while True:
                await socket.send_json({"type": "conversation.item.retrieve", "item_id": item_id})
                await asyncio.sleep(0.05)
        finally:
            reading.cancel()


@loaded("deaf_ws", "/ws: questions at 50/s, and nothing is read")
async def deaf_ws(_url: str, port: int) -> None:
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
                while True:
                    await client.send(b'{"type": "text_input", "text": "hola"}')
                    await asyncio.sleep(0.02)


@loaded("pings", "pings, of WebSocket and of the protocol, as fast as they are taken")
async def pings(_url: str, port: int) -> None:
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
                while True:
                    for _number in range(50):
                        await client.send(os.urandom(125), opcode=9)
                        await client.send(b'{"type": "ping", "nonce": "x"}')
                    await asyncio.sleep(0.01)


@loaded("audio_flood", "audio a hundred times faster than it is spoken")
async def audio_flood(_url: str, port: int) -> None:
    frame = os.urandom(960)
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
                while True:
                    for _number in range(100):
                        await client.send(frame, opcode=2)
                    await asyncio.sleep(0.02)


@loaded("tiny_appends", "appends of a few bytes each, as fast as they are taken")
async def tiny_appends(_url: str, port: int) -> None:
    append = b'{"type": "input_audio_buffer.append", "audio": "AAAA"}'
    while True:
        async with Deaf(port, "/v1/realtime") as client:
            with suppress(ConnectionError):
                while True:
                    for _number in range(100):
                        await client.send(append)


@loaded("many_starts", "sessions opened and dropped, 20 a second")
async def many_starts(_url: str, port: int) -> None:
    while True:
        async with Deaf(port, "/ws") as client:
            with suppress(ConnectionError):
                await client.send(b'{"type": "session_start"}')
        await asyncio.sleep(0.05)


async def _hurt(name: str, port: int) -> None:
    os.nice(10)
    print("begins", flush=True)
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError, aiohttp.ClientError):
            await HURTS[name](f"http://127.0.0.1:{port}", port)


if __name__ == "__main__":
    asyncio.run(_hurt(sys.argv[1], int(sys.argv[2])))
