"""Does the brain stand in the way? Four calls side by side: brain on, slow, failing, off.

    make bench-brain

Every turn is played to all four in turn, so that what else the machine does falls on all alike.
Two latencies, by the real SDKs over real sockets:

- audio: from the first sample of a 20 ms frame at the caller's side to the speaker's server
  (the frame itself and the way);
- first audio: from the end of the turn at the speaker's server to the first audio at the caller's
  side. The speaker thinks for 500 ms, the published time of its API; with the brain on, its
  same-turn facts are searched and placed in that time.

The target of the house is a ratio of 1.02 to ``off`` at p99.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from base64 import b64encode
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.realtime_server import SILENT, Connection, RealtimeDouble
from tests.modes.external.caller import Caller, calling, configure


Json = dict[str, Any]

FRAME_MS = 20
FRAMES_PER_TURN = 20
FRAME = b64encode(bytes(FRAME_MS * 48)).decode()
THINKS_S = 0.5
TARGET = 1.02
QUESTIONS = (
    "¿Cuándo vence la factura F-2024-1234?",
    "¿Cómo puedo domiciliar el recibo de la luz?",
    "¿Qué tarifa tiene discriminación horaria?",
    "¿Dónde está la oficina más cercana?",
)


class Condition:
    """One of the four, with its call and its measurements."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.speaker = RealtimeDouble()
        self.claude = AnthropicDouble()
        self.audio_ms: list[float] = []
        self.first_audio_ms: list[float] = []
        self._sent: dict[str, float] = {}
        self.speaker.on_audio = self._arrived
        self.caller: Caller
        self.upstream: Connection

    async def open(self, stack: AsyncExitStack, folder: Path) -> None:
        await stack.enter_async_context(self.speaker)
        await stack.enter_async_context(self.claude)
        steps: dict[str, Json] = {
            "on": {"answer": folio("Consulta sobre factura"), "delay_s": 0.3},
            "slow": {"answer": folio("Consulta sobre factura"), "delay_s": 3.0},
            "failing": {"status": 529},
        }
        for purpose in ("turn", "review"):
            self.claude.on(purpose, times=None, **steps.get(self.name, {}))
        brain = {"enabled": self.name != "off", "budget_usd": 100.0}
        config = configure(folder, self.speaker.base_url, self.claude.base_url, brain=brain)
        self.caller = await stack.enter_async_context(calling(config, folder / self.name))
        self.upstream = await self.speaker.connection()

    def _arrived(self, event: Json) -> None:
        sent_s = self._sent.pop(event.get("event_id") or "", None)
        if sent_s is not None:
            self.audio_ms.append(FRAME_MS + (time.perf_counter() - sent_s) * 1000)

    async def turn(self, number: int) -> None:
        for index in range(FRAMES_PER_TURN):
            key = f"event_{number}_{index}"
            event = {"type": "input_audio_buffer.append", "event_id": key, "audio": FRAME}
            self._sent[key] = time.perf_counter()
            await self.caller.call.send(event)
            await asyncio.sleep(0.005)
        item_id = self.upstream.new_id("item_user")
        words = QUESTIONS[number % len(QUESTIONS)]
        await self.upstream.speech_started(item_id)
        for word in words.split():
            await self.upstream.partial(item_id, f"{word} ")
        self.caller.heard.clear()
        ended_s = time.perf_counter()
        await self.upstream.end_turn(item_id)
        await self.upstream.final(item_id, words)
        await self.upstream.asked()
        await asyncio.sleep(THINKS_S)
        response_id, penny = self.upstream.active, self.upstream.new_id("item_penny")
        place = {"response_id": response_id, "item_id": penny}
        place |= {"output_index": 0, "content_index": 0}
        await self.upstream.send("response.output_audio.delta", **place, delta=SILENT)
        await self.caller.until("response.output_audio.delta")
        self.first_audio_ms.append((time.perf_counter() - ended_s) * 1000)
        await self.upstream.finish(response_id, "completed")
        await self.caller.until("response.done")


async def measure(turns: int) -> list[Condition]:
    conditions = [Condition(name) for name in ("off", "on", "slow", "failing")]
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            for condition in conditions:
                await condition.open(stack, Path(folder))
            for number in range(-2, turns):  # two to warm up
                for condition in conditions:
                    await condition.turn(number)
                    if number < 0:
                        condition.audio_ms.clear()
                        condition.first_audio_ms.clear()
    return conditions


def report(conditions: list[Condition]) -> Json:
    """Print the table; return it as data."""
    off = conditions[0]
    table: Json = {}
    head = ("audio p50", "p99", "ratio", "first p50", "p99", "ratio")
    print(
        f"{'':10} {head[0]:>10} {head[1]:>8} {head[2]:>7} {head[3]:>10} {head[4]:>8} {head[5]:>7}"
    )
    for each in conditions:
        row = {
            "audio_p50_ms": statistics.median(each.audio_ms),
            "audio_p99_ms": percentile(each.audio_ms, 99),
            "audio_p99_ratio": percentile(each.audio_ms, 99) / percentile(off.audio_ms, 99),
            "first_audio_p50_ms": statistics.median(each.first_audio_ms),
            "first_audio_p99_ms": percentile(each.first_audio_ms, 99),
            "first_audio_p99_ratio": percentile(each.first_audio_ms, 99)
            / percentile(off.first_audio_ms, 99),
        }
        table[each.name] = row
        print(
            f"{each.name:10} {row['audio_p50_ms']:10.2f} {row['audio_p99_ms']:8.2f} "
            f"{row['audio_p99_ratio']:7.3f} {row['first_audio_p50_ms']:10.1f} "
            f"{row['first_audio_p99_ms']:8.1f} {row['first_audio_p99_ratio']:7.3f}"
        )
    return table


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    table = report(asyncio.run(measure(arguments.turns)))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(table, indent=2), encoding="utf-8")
    ratios = [v for row in table.values() for k, v in row.items() if k.endswith("ratio")]
    print(f"worst ratio {max(ratios):.3f}, target {TARGET}")


if __name__ == "__main__":
    main()
