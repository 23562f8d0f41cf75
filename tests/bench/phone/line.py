"""E3, E5, E9, E10, E11, E12, E14 and E15: what enters a call, and calls that last or break.

E9, E11 and E15 are of a clock that jumps: hours take seconds, and no neighbour disturbs.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.asterisk.ari import Ari
from penny.edges.asterisk.audiosocket import AWAY_S, SILENT_S
from penny.edges.telephone.ticker import Ticker
from runpod_worker.engines.silero import SileroVad
from runpod_worker.stages import STT_RATE_HZ
from tests.bench.phone.asterisk import open_call
from tests.bench.phone.far_ends import talk
from tests.bench.phone.row import Measure, Row, percentiles
from tests.bench.phone.twilio import LINE, WIRE, Deaf, Line, talking
from tests.doubles.ari import PASSWORD, USER, running_ari
from tests.doubles.phone_wire import SILENCE, FarSide, PhoneCall
from tests.doubles.speech import silence, speak
from tests.penny.edges.asterisk.calls import WIRES
from tests.virtual_time import VirtualTimeLoop


Json = dict[str, Any]

FRAME_S = 0.02
CLICK = b"\x00\x40" * 160
CLICKS = 40
SAID = "¿Cuándo vence mi factura de la luz?"
UTTERANCES, LOST, JITTER_S, END_S = 20, 0.05, 0.060, 0.5
STALLS_S = (1.0, 5.0, 30.0)
HOUR_S, MUTE_S = 3600.0, 600.0
CROWD, CROWD_S = 100, 20.0


async def virtually(make: Callable[[], Awaitable[Any]]) -> Any:
    """The result of a measure that runs on a clock of its own."""

    def run() -> Any:
        loop = VirtualTimeLoop()
        try:
            return loop.run_until_complete(make())
        finally:
            loop.close()

    return await asyncio.to_thread(run)


def _loud_ms(event: Json) -> float:
    """How much of a click is in the caller's sound."""
    if event["type"] != "input_audio_buffer.append":
        return 0.0
    pcm = np.frombuffer(base64.b64decode(event["audio"]), "<i2")
    return float((np.abs(pcm) > 8000).sum()) / 24


# -- inbound ------------------------------------------------------------------------------------


async def measure_inbound() -> Row:
    """From a frame's sending on the far side to its last sample at the session."""
    loop, sent, late, heard_ms = asyncio.get_running_loop(), [], [], 0.0
    async with Line().listening() as line, talking(line) as (call, stream):
        send = stream._send

        async def stamp(event: str, **fields: Any) -> None:
            if event == "media":
                sent.append(loop.time())
            await send(event, **fields)

        def take(event: Json) -> None:
            nonlocal heard_ms
            if event["type"] == "input_audio_buffer.append":
                heard_ms += len(base64.b64decode(event["audio"])) / 48
                late.append((loop.time() - sent[max(0, round(heard_ms / 20) - 1)]) * 1000)

        call.sink.on_event = take  # type: ignore[method-assign]
        stream._send = stamp  # type: ignore[method-assign]
        await asyncio.sleep(20)
    converter = Converter(LINE, PCM24K)
    impulse = bytearray(SILENCE * 4)
    impulse[160:164] = b"\x00\x00\x00\x00"
    out = np.frombuffer(converter.process(bytes(impulse)), "<i2").astype(float)
    filter_ms = float(np.abs(out).argmax()) / 24 - 20.25
    figures = {"p50_ms": np.quantile(late, 0.5), "p99_ms": np.quantile(late, 0.99)}
    figures["filter_ms"] = filter_ms
    ok = figures["p99_ms"] <= 5 and abs(filter_ms) <= 2.5
    rounded = {name: round(float(value), 2) for name, value in figures.items()}
    limit = "p99 <= 5 ms, filter <= 2.5"
    return Row("E3", "caller's sound, wire to session", WIRE, rounded, limit, bool(ok))


def measure_both_ways(wire: str) -> Measure:
    async def row() -> Row:
        """A click of the caller's is answered with one: from leg A to leg A."""
        loop, said, times = asyncio.get_running_loop(), [], []
        async with open_call(wire) as call:
            send, answered = call.peer._send_audio, 0

            def stamp(pcm: bytes) -> None:
                if pcm == CLICK:
                    said.append(loop.time())
                send(pcm)

            def take(event: Json) -> None:
                nonlocal answered
                if _loud_ms(event) and answered < len(said):
                    answered = len(said)
                    call.answer(40, f"resp_{answered}", f"item_{answered}")

            call.peer._send_audio = stamp  # type: ignore[method-assign]
            call.sink.on_event = take  # type: ignore[method-assign]
            for number in range(CLICKS):
                await asyncio.sleep(0.3 + 0.003 * number)
                before = len(call.peer.loud())
                call.peer.say(CLICK)
                await call.peer.until_loud(before + 1)
                times.append((call.peer.loud()[before].at_s - said[-1]) * 1000)
        figures = percentiles(times)
        figures["p99_ms"] = round(float(np.quantile(times, 0.99)), 1)
        ok = figures["p50_ms"] <= 60 and figures["p99_ms"] <= 90
        what = "a click of the caller's, through the session and back"
        return Row("E5", what, wire, figures, "p50 <= 60 ms, p99 <= 90", ok)

    return row


async def _turn_ends(
    vad: SileroVad, rng: random.Random, lost: float, jitter_s: float
) -> list[float]:
    """Seconds from the beginning of each utterance until its end was told, by the clock."""
    ends = []
    voice = Converter(PCM24K, LINE).process(speak(SAID) + silence(1500))
    frames = [voice[at : at + 160] for at in range(0, len(voice) // 160 * 160, 160)]
    loop = asyncio.get_running_loop()
    for _ in range(UTTERANCES):
        call, began_s = PhoneCall(FarSide()), loop.time()
        arrived: list[tuple[float, bytes]] = []

        def take(event: Json, arrived: list[tuple[float, bytes]] = arrived) -> None:
            if event["type"] == "input_audio_buffer.append":
                arrived.append((loop.time(), base64.b64decode(event["audio"])))

        call.sink.on_event = take  # type: ignore[method-assign]
        at_s = began_s
        for number, frame in enumerate(frames):
            delay_s = rng.uniform(0, jitter_s)
            at_s = max(at_s, began_s + number * FRAME_S + delay_s)
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            if rng.random() >= lost:
                call.edge.hear(frame, number * 20)
        await call.edge.aclose("operator", {})
        ends.append(await _end_of_speech(vad, arrived) - began_s)
    return ends


async def _end_of_speech(vad: SileroVad, arrived: list[tuple[float, bytes]]) -> float:
    stream, quiet_ms, has_spoken = vad.open(), 0, False
    converter = Converter(PCM24K, AudioFormat("pcm16", STT_RATE_HZ))
    for at_s, pcm in arrived:
        for window in await stream.feed(converter.process(pcm)):
            has_spoken |= window.probability >= 0.5
            quiet_ms = quiet_ms + window.ms if window.probability < 0.5 else 0
            if has_spoken and quiet_ms >= END_S * 1000:
                return at_s
    raise AssertionError("no end was told")


async def measure_turn_end() -> Row:
    async def run() -> tuple[list[float], list[float]]:
        vad, rng = SileroVad(), random.Random(9)
        (good, *_) = await _turn_ends(vad, rng, 0.0, 0.0)
        found = [await _turn_ends(vad, rng, LOST, jitter_s) for jitter_s in (0.0, JITTER_S)]
        await vad.aclose()
        lost, late = ([abs(end - good) * 1000 for end in ends] for ends in found)
        return lost, late

    lost, late = await virtually(run)
    figures = percentiles(lost)
    figures["jitter_p95_ms"] = percentiles(late)["p95_ms"]
    what = "end of a turn with 5 % lost beside the same without; and with 60 ms of jitter, too"
    ok = max(figures["p95_ms"], figures["jitter_p95_ms"]) <= 40
    return Row("E9", what, WIRE, figures, "p95 <= 40 ms, both", ok)


async def measure_stale_input() -> Row:
    """The gateway reads nothing for a while, and then all at once."""
    loop = asyncio.get_running_loop()
    loud: list[tuple[float, float]] = []
    figures: dict[str, float] = {}
    missing = 0

    def take(event: Json) -> None:
        if loud_ms := _loud_ms(event):
            loud.append((loop.time(), loud_ms))

    async with open_call("audiosocket") as call:
        call.sink.on_event = take  # type: ignore[method-assign]
        for stalled_s in STALLS_S:
            await asyncio.sleep(0.3)
            loud.clear()
            call.wire._transport.pause_reading()  # type: ignore[union-attr]
            for _ in range(4):
                call.peer.say(CLICK)
                await asyncio.sleep(stalled_s / 4)
            call.wire._transport.resume_reading()  # type: ignore[union-attr]
            await asyncio.sleep(0.9)
            missing += 4 - round(sum(loud_ms for _, loud_ms in loud) / 20)
            loud.clear()
            at_s = loop.time()
            call.peer.say(CLICK)
            while not loud:
                await asyncio.sleep(0.001)
            figures[f"{stalled_s:g}s_lag_ms"] = round((loud[0][0] - at_s) * 1000, 1)
    ok = missing == 0 and all(value <= 40 for value in figures.values())
    figures["lost_clicks"] = float(missing)
    what = "lag a second after a stall of reading; what came meanwhile"
    return Row("E10", what, "audiosocket", figures, "<= 40 ms, nothing lost", ok)


# -- long calls, many calls -----------------------------------------------------------------------


async def measure_drift() -> Row:
    async def run() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        far = FarSide(lead_ms=0, tells_played=False, needs_audio=True)
        call, rng = PhoneCall(far), random.Random(11)
        heard_ms = 0.0

        def take(event: Json) -> None:
            nonlocal heard_ms
            if event["type"] == "input_audio_buffer.append":
                heard_ms += len(event["audio"]) // 4 * 3 / 48

        call.sink.on_event = take  # type: ignore[method-assign]
        began_s, number = loop.time(), 0
        while loop.time() - began_s < HOUR_S:
            call.edge.hear(SILENCE, number * 20)
            number += 1
            if number % 500 == 0:
                loop.now_s += rng.choice((0.01, 0.025, 0.04))  # a loop that stood still
            await asyncio.sleep(max(0.0, began_s + number * FRAME_S - loop.time()))
        lasted_ms = (loop.time() - began_s) * 1000
        sent_ms = 20.0 * len(far.sent)
        await call.edge.aclose("operator", {})
        return abs(sent_ms - lasted_ms), abs(heard_ms - lasted_ms)

    out_ms, in_ms = await virtually(run)
    figures = {"out_ms": round(out_ms, 1), "in_ms": round(in_ms, 1)}
    ok = max(out_ms, in_ms) <= 20
    return Row("E11", "drift in an hour (virtual), 360 stalls", "any", figures, "<= 20 ms", ok)


async def measure_crowd() -> Row:
    """A hundred calls that speak and are spoken to; the far ends are another process."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    alone: list[float] = []
    null = Ticker(loop.time, alone.append)

    def nothing(_slot_s: float) -> None:
        return None

    null.join(nothing)
    await asyncio.sleep(5)
    null.leave(nothing)
    async with Line(late.append, heartbeat_s=None).listening() as line:
        address = urlsplit(line.url)
        far_ends = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", talk.__module__),
            *(str(address.hostname), str(address.port), str(CROWD), str(CROWD_S + 15)),
        )
        try:
            calls = [await line.calls.get() for _ in range(CROWD)]
            for call in calls:
                call.sink.on_event = lambda _event: None  # type: ignore[method-assign]
                call.answer(round(CROWD_S * 1000))
            await asyncio.sleep(1)
            late.clear()
            cpu_s, at_s = sum(os.times()[:2]), loop.time()
            await asyncio.sleep(CROWD_S - 2)
            used = (sum(os.times()[:2]) - cpu_s) / (loop.time() - at_s)
        finally:
            far_ends.terminate()
            await far_ends.wait()
    figures = {"p99_ms": round(1000 * float(np.quantile(late, 0.99)), 2), "cores": round(used, 2)}
    figures["null_p99_ms"] = round(1000 * float(np.quantile(alone, 0.99)), 2)
    what = f"lateness of slots with {CROWD} calls both ways in one process"
    return Row("E12", what, WIRE, figures, "p99 <= 10 ms", figures["p99_ms"] <= 10)


DEAD_S = 3.1
"""A dead far side ends the call within three seconds, and the slot in which that is seen."""


def measure_dead(wire: str) -> Measure:
    async def row() -> Row:
        """A far side that stands still: until the call is over, and what is left of it."""
        loop = asyncio.get_running_loop()
        before = len(asyncio.all_tasks())
        if wire == WIRE:
            async with Line().listening() as line:
                address = urlsplit(line.url)
                made = await loop.create_connection(Deaf, address.hostname, address.port)
                call: Any = await line.calls.get()
                call.edge.hear(b"\xff" * 160)  # who is never heard is not connected
                after_s = await _until_over(call)
                made[0].abort()
        else:
            async with open_call(wire) as call:
                await asyncio.sleep(0.5)
                for task in (*call.peer._tasks, call.peer._talking):  # type: ignore[union-attr]
                    task.cancel()  # type: ignore[union-attr]
                after_s = await _until_over(call)
        await asyncio.sleep(1.2)
        left = len(asyncio.all_tasks()) - before
        figures = {"after_s": round(after_s, 2), "tasks_left": float(max(0, left))}
        ok = after_s <= DEAD_S and left <= 0
        what = "a far side that stands still: the call is over"
        return Row("E14", what, wire, figures, f"<= {DEAD_S:g} s, no task left", ok)

    return row


async def measure_dead_audiosocket() -> Row:
    """Asterisk stands still as a whole: the connection of a call, and its ARI."""
    loop, before = asyncio.get_running_loop(), len(asyncio.all_tasks())
    async with running_ari() as far_ari, open_call("audiosocket") as call:

        async def take(_event: Json) -> None:
            return None

        def changed(is_there: bool) -> None:  # as ``AsteriskDoor.asterisk_is``
            call.wire.dead_after_s = SILENT_S if is_there else AWAY_S

        ari = Ari(far_ari.url, USER, PASSWORD, take, changed)
        running = loop.create_task(ari.run())
        while not ari.is_there:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        far_ari.stand_still()
        call.peer.stand_still()  # type: ignore[union-attr]
        after_s = await _until_over(call)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ari.aclose()
    await asyncio.sleep(1.2)
    left = len(asyncio.all_tasks()) - before
    figures = {"after_s": round(after_s, 2), "tasks_left": float(max(0, left))}
    ok = after_s <= DEAD_S and left <= 0
    what = "a far side that stands still, with its ARI: the call is over"
    return Row("E14", what, "audiosocket", figures, f"<= {DEAD_S:g} s, no task left", ok)


async def _until_over(call: PhoneCall) -> float:
    loop = asyncio.get_running_loop()
    at_s = loop.time()
    while not call.sink.closed:
        await asyncio.sleep(0.01)
    return loop.time() - at_s


def measure_mute(wire: str) -> Measure:
    async def row() -> Row:
        async def run() -> tuple[int, float]:
            if wire == "audiosocket":
                async with open_call(wire) as call:
                    call.peer.is_mute = True
                    call.wire.dead_after_s = None
                    await asyncio.sleep(MUTE_S)
                    times = [each.at_s for each in call.peer.heard]
                    gaps = [b - a - FRAME_S for a, b in zip(times, times[1:], strict=False)]
                    return int(bool(call.peer.end)), 1000 * max(gaps)
            far = FarSide(needs_audio=True)
            silent = PhoneCall(far)
            await asyncio.sleep(MUTE_S)
            plays = far.played_until_s[10:]
            gaps = [b[0] - a[1] for a, b in zip(plays, plays[1:], strict=False)]
            await silent.edge.aclose("operator", {})
            return 0, 1000 * max(gaps)

        drops, gap_ms = await virtually(run)
        figures = {"drops": float(drops), "longest_gap_ms": round(gap_ms, 1)}
        what = "ten minutes (virtual) of mutual silence: calls dropped, queue empty"
        return Row("E15", what, wire, figures, "none, < 20 ms", drops == 0 and gap_ms < 20)

    return row


ROWS: list[tuple[str, Measure]] = [
    ("E3", measure_inbound),
    *(("E5", measure_both_ways(wire)) for wire in WIRES),
    ("E9", measure_turn_end),
    ("E10", measure_stale_input),
    ("E11", measure_drift),
    ("E12", measure_crowd),
    ("E14", measure_dead(WIRE)),
    ("E14", measure_dead("websocket")),
    ("E14", measure_dead_audiosocket),
    *(("E15", measure_mute(wire)) for wire in WIRES),
]
