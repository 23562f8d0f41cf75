"""Does the brain stand in the way? Four calls side by side: brain on, slow, failing, off.

    make bench-brain

Penny runs here; speakers and brains run in processes of their own, so that what they do is not
taken for hers. A round plays one turn to each of the four, in an order that turns from round to
round, so that what else the machine does falls on all alike. Two latencies, by the real SDKs over
real sockets:

- audio: from the first sample of a 20 ms frame at the caller's side to the speaker's server
  (the frame itself and the way);
- first audio: from the end of the turn at the speaker's server to the first audio at the caller's
  side. The speaker thinks for 500 ms, the published time of its API; with the brain on, its
  same-turn facts are searched and placed in that time.

A round in which the speaker's own process was late by more than 5 ms for any of the four is void
for all four and played again; how late it was is printed. The target of the house is a ratio of
1.02 to ``off`` at p99.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from tests.bench.brain_doubles import CONDITIONS
from tests.modes.external.caller import Caller, calling, configure


Json = dict[str, Any]

FRAME_MS = 20
FRAMES_PER_TURN = 20
FRAME = b64encode(bytes(FRAME_MS * 48)).decode()
MAX_LAG_MS = 5.0
WARM_UP_ROUNDS = 3
TARGET = 1.02
QUESTIONS = (
    "¿Cuándo vence la factura F-2024-1234?",
    "¿Cómo puedo domiciliar el recibo de la luz?",
    "¿Qué tarifa tiene discriminación horaria?",
    "¿Dónde está la oficina más cercana?",
)


class Doubles:
    """A process of doubles that is spoken to by lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read(self) -> Json:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the doubles' process has ended; see its error above")
        answer: Json = json.loads(line)
        return answer

    async def order(self, order: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def doubles(kind: str) -> AsyncIterator[Doubles]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.brain_doubles",
        kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Doubles(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Condition:
    """One of the four, with its call and its measurements."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.audio_ms: list[float] = []
        self.first_audio_ms: list[float] = []
        self.caller: Caller

    async def open(self, stack: AsyncExitStack, folder: Path, speaker: str, brain: str) -> None:
        settings = {"enabled": self.name != "off", "budget_usd": 100.0}
        config = configure(folder, speaker, brain, brain=settings)
        self.caller = await stack.enter_async_context(calling(config, folder / self.name))

    async def turn(self, number: int, speakers: Doubles) -> tuple[list[float], float, float]:
        """Audio latencies, first audio and the generator's lag of one turn, in ms."""
        sent_s: dict[str, float] = {}
        for index in range(FRAMES_PER_TURN):
            key = f"event_{number}_{index}"
            event = {"type": "input_audio_buffer.append", "event_id": key, "audio": FRAME}
            sent_s[key] = time.monotonic()
            await self.caller.send(event)
            await asyncio.sleep(0.005)
        self.caller.heard.clear()
        words = QUESTIONS[number % len(QUESTIONS)]
        await speakers.order({"condition": self.name, "words": words})
        await self.caller.until("response.output_audio.delta")
        heard_s = time.monotonic()
        await self.caller.until("response.done")
        times = await speakers.read()
        arrived_s = times["arrived_s"]
        audio = [FRAME_MS + (arrived_s[key] - at_s) * 1000 for key, at_s in sent_s.items()]
        return audio, (heard_s - times["ended_s"]) * 1000, times["lag_ms"]


class Rounds:
    """What was played: kept rounds, void ones, and how late the generator was."""

    def __init__(self) -> None:
        self.kept = self.void = 0
        self.lags_ms: list[float] = []

    async def play(self, conditions: list[Condition], number: int, speakers: Doubles) -> None:
        order = [conditions[(number + place) % len(conditions)] for place in range(len(conditions))]
        found = [(each, *await each.turn(number, speakers)) for each in order]
        if number < WARM_UP_ROUNDS:
            return
        worst_ms = max(lag_ms for *_, lag_ms in found)
        self.lags_ms.append(worst_ms)
        if worst_ms > MAX_LAG_MS:
            self.void += 1
            return
        self.kept += 1
        for each, audio_ms, first_ms, _ in found:
            each.audio_ms += audio_ms
            each.first_audio_ms.append(first_ms)


async def measure(turns: int) -> tuple[list[Condition], Rounds]:
    conditions, rounds = [Condition(name) for name in CONDITIONS], Rounds()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            speakers = await stack.enter_async_context(doubles("speakers"))
            brains = await stack.enter_async_context(doubles("brains"))
            speaker_urls, brain_urls = await speakers.read(), await brains.read()
            for each in conditions:
                urls = (speaker_urls[each.name], brain_urls[each.name])
                await each.open(stack, Path(folder), *urls)
            number = 0
            while rounds.kept < turns and number < 2 * turns + WARM_UP_ROUNDS:
                await rounds.play(conditions, number, speakers)
                number += 1
    return conditions, rounds


def report(conditions: list[Condition], rounds: Rounds) -> Json:
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
    lag = f"p50 {statistics.median(rounds.lags_ms):.2f}, max {max(rounds.lags_ms):.2f} ms"
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{rounds.kept} rounds, {rounds.void} void; generator late by {lag}; load {load}")
    return table


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    table = report(*asyncio.run(measure(arguments.turns)))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(table, indent=2), encoding="utf-8")
    ratios = [v for row in table.values() for k, v in row.items() if k.endswith("ratio")]
    print(f"worst ratio {max(ratios):.3f}, target {TARGET}")


if __name__ == "__main__":
    main()
