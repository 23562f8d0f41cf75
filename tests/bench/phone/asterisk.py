"""E6, E7, E13 and E16 on both of Asterisk's wires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.bench.phone.row import Measure, Row, percentiles
from tests.penny.edges.asterisk.calls import WIRES, WiredCall, audiosocket_call, websocket_call


FRAME_S = 0.02
INTERRUPTIONS = 30
LAST_WORDS, AT_ONCE = 100, 10
ENTRIES, ENTRY = 10, "123456789#"
STOP_MS = {"audiosocket": 60.0, "websocket": 25.0}
POSITION_MS, MOST_OVER_MS = 40.0, 60.0


def open_call(wire: str) -> AbstractAsyncContextManager[WiredCall]:
    return audiosocket_call() if wire == "audiosocket" else websocket_call()


OpenCall = Callable[[str], AbstractAsyncContextManager[WiredCall]]
_seen: dict[str, tuple[list[float], list[float]]] = {}
"""By wire: E6 and E7 are of the same interruptions."""


async def interrupt(wire: str, open_call: OpenCall, name: str) -> tuple[list[float], list[float]]:
    """How long after each interruption old sound was heard at the far leg, its last frame to the
    end, and by how much the position told was beyond what was heard (ms)."""
    if name in _seen:
        return _seen[name]
    stops, errors = _seen[name] = [], []
    loop = asyncio.get_running_loop()
    async with open_call(wire) as call:
        for number in range(INTERRUPTIONS):
            before, told = len(call.peer.loud()), len(call.sink.events)
            call.answer(4000, f"resp_{number}", f"item_{number}")
            await call.peer.until_loud(before + 15 + 7 * number % 40)
            at_s = loop.time()
            call.speech()
            await call.peer.until_quiet(0.25)
            heard = call.peer.loud()[before:]
            [cut] = [
                event
                for event in call.sink.events[told:]
                if event["type"] == "conversation.item.truncate"
            ]
            stops.append((heard[-1].at_s + FRAME_S - at_s) * 1000)
            errors.append(cut["audio_end_ms"] - 20.0 * len(heard))
    return stops, errors


def measure_stop(wire: str, open_call: OpenCall = open_call, name: str = "") -> Measure:
    async def row() -> Row:
        stops, _ = await interrupt(wire, open_call, name or wire)
        figures = percentiles(stops)
        limit = STOP_MS[wire]
        what = "end of the last old frame at the far leg after an interruption"
        return Row(
            "E6", what, name or wire, figures, f"p95 <= {limit:g} ms", figures["p95_ms"] <= limit
        )

    return row


def measure_position(wire: str, open_call: OpenCall = open_call, name: str = "") -> Measure:
    async def row() -> Row:
        _, errors = await interrupt(wire, open_call, name or wire)
        figures = percentiles([abs(error) for error in errors])
        figures["most_over_ms"] = round(max(errors), 1)
        ok = figures["p95_ms"] <= POSITION_MS and figures["most_over_ms"] <= MOST_OVER_MS
        limit = f"p95 <= {POSITION_MS:g} ms, never over by {MOST_OVER_MS:g}"
        return Row("E7", "position told beside what was heard", name or wire, figures, limit, ok)

    return row


async def last_word(wire: str, open_call: OpenCall, ms: int) -> bool:
    async with open_call(wire) as call:
        call.answer(ms)
        await call.edge.aclose("time_limit", {})
        async with asyncio.timeout(60):
            await asyncio.shield(call.peer.ended)
        return ms // 20 <= len(call.peer.loud()) <= ms // 20 + 1


def measure_last_words(wire: str, open_call: OpenCall = open_call, name: str = "") -> Measure:
    async def row() -> Row:
        whole = 0
        for _ in range(LAST_WORDS // AT_ONCE):
            calls = (last_word(wire, open_call, 200 + 20 * each) for each in range(AT_ONCE))
            whole += sum(await asyncio.gather(*calls))
        figures = {"whole": float(whole), "of": float(LAST_WORDS)}
        told = "last words heard whole"
        return Row("E13", told, name or wire, figures, "all", whole == LAST_WORDS)

    return row


def measure_keys(wire: str) -> Measure:
    async def row() -> Row:
        async with open_call(wire) as call:
            for _ in range(ENTRIES):
                for key in ENTRY:
                    call.peer.press(key)
                    await asyncio.sleep(0.02)
            async with asyncio.timeout(60):
                while len(call.sink.of("conversation.item.create")) < ENTRIES:
                    await asyncio.sleep(0.01)
            items = call.sink.of("conversation.item.create")
            texts = [item["item"]["content"][0]["text"].rstrip("#") for item in items]
        right = sum(text == ENTRY.rstrip("#") for text in texts) * len(ENTRY)
        figures = {"keys": float(right), "of": float(ENTRIES * len(ENTRY))}
        ok = right == ENTRIES * len(ENTRY)
        return Row("E16", "keys taken, in order and none twice", wire, figures, "all", ok)

    return row


ROWS = [
    (name, make(wire))
    for name, make in (
        ("E6", measure_stop),
        ("E7", measure_position),
        ("E13", measure_last_words),
        ("E16", measure_keys),
    )
    for wire in WIRES
]
