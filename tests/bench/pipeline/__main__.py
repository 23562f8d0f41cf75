"""Prints what Penny adds to the sum of its engines, beside pipecat with the same engines.

    python -m tests.bench.pipeline [--sessions 1 5 20] [--turns 8] [--systems penny pipecat]

Every caller speaks in real time over real sockets from this process; each system runs in a process
of its own. "answer" is the time from the last sound of a question to the first agent audio;
"interruption" the time from the first sound over the agent to the last agent audio heard. The
recogniser has the text 300 ms after the last sound in both systems. Speech is made by eSpeak NG.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import numpy as np

from penny.audio.resample import Resampler
from tests.bench.pipeline import parts
from tests.bench.pipeline.calls import (
    CHUNK_MS,
    Caller,
    Line,
    PennyLine,
    Question,
    RawLine,
    Times,
    cut,
)
from tests.doubles.speech import silence, speak


ROOT = Path(__file__).resolve().parents[3]
PEER = ROOT / ".venv-bench" / "bin" / "python"
SENTENCES = (
    "¿Cuánto debo de la factura de enero?",
    "Quiero cambiar el número de mi cuenta.",
    "¿Dónde está la oficina más cercana?",
    "Me he quedado sin luz esta mañana.",
    "¿Puedo pagar con tarjeta?",
    "Necesito una copia del contrato.",
)
SYSTEMS = {
    "penny semantic_vad": {"type": "semantic_vad", "eagerness": "auto"},
    "penny semantic_vad high": {"type": "semantic_vad", "eagerness": "high"},
    "penny server_vad 500": {"type": "server_vad", "silence_duration_ms": 500},
    "pipecat": None,
}


@contextmanager
def server(python: Path, module: str) -> Iterator[int]:
    """The port of a system started in a process of its own."""
    process = subprocess.Popen(
        [str(python), "-m", f"tests.bench.pipeline.{module}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    try:
        told = process.stdout.readline()
        if not told:
            raise SystemExit(f"{module} did not start")
        yield int(told)
    finally:
        # A bench's server holds nothing worth a graceful end, which could take its callers' time.
        process.kill()
        process.wait()


def questions(rate_hz: int, turns: int, offset: int) -> list[Question]:
    made = []
    for turn in range(turns):
        pcm = speak(SENTENCES[(turn + offset) % len(SENTENCES)])
        if rate_hz != 24_000:
            resampler = Resampler(24_000, rate_hz)
            pcm = resampler.process(pcm) + resampler.flush()
        made.append(cut(pcm, rate_hz))
    return made


async def measure(make_line: object, sessions: int, turns: int) -> Times:
    """Callers who begin a little after each other, all their times together."""
    callers = []
    async with aiohttp.ClientSession() as http:
        for index in range(sessions):
            line: Line = make_line()  # type: ignore[operator]
            await line.open(http)
            quiet = silence(CHUNK_MS, line.rate_hz)
            asked = questions(line.rate_hz, turns, index)
            callers.append((line, Caller(line, asked, lambda quiet=quiet: quiet)))

        async def run(index: int, caller: Caller) -> None:
            await asyncio.sleep(index * 0.37)
            await caller.run()

        await asyncio.gather(*(run(i, caller) for i, (_, caller) in enumerate(callers)))
        for line, _ in callers:
            await line.close()
    whole = Times()
    for _, caller in callers:
        whole.answers += caller.times.answers
        whole.interruptions += caller.times.interruptions
        whole.lags += caller.times.lags
        whole.lost += caller.times.lost
    return whole


def row(name: str, sessions: int, times: Times) -> str:
    def at(values: list[float], share: int) -> str:
        return f"{np.percentile(values, share) * 1000:.0f}" if values else "-"

    added = [answer - parts.SUM_S for answer in times.answers]
    cells = (
        name,
        sessions,
        len(times.answers),
        at(times.answers, 50),
        at(times.answers, 90),
        at(added, 50),
        at(added, 90),
        at(times.interruptions, 50),
        at(times.interruptions, 90),
        times.lost,
        at(times.lags, 99),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--systems", nargs="+", default=["penny", "pipecat"])
    given = parser.parse_args()
    # Whoever stops the bench stops the servers it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"sum of the parts: {parts.SUM_S * 1000:.0f} ms; times in ms\n")
    print(
        "| system | sessions | turns | answer p50 | p90 | added p50 | added p90 "
        "| interruption p50 | p90 | lost | callers' lag p99 |"
    )
    print("|" + "---|" * 11)
    for sessions in given.sessions:
        for name, detection in SYSTEMS.items():
            if not any(name.startswith(wanted) for wanted in given.systems):
                continue
            python = PEER if detection is None else Path(sys.executable)
            module = "pipecat_server" if detection is None else "penny_server"
            with server(python, module) as port:

                def make_line(
                    port: int = port, detection: dict[str, object] | None = detection
                ) -> Line:
                    if detection is None:
                        return RawLine(f"ws://127.0.0.1:{port}/")
                    return PennyLine(f"ws://127.0.0.1:{port}/v1/realtime", detection)

                times = asyncio.run(measure(make_line, sessions, given.turns))
            print(row(name, sessions, times), flush=True)


if __name__ == "__main__":
    main()
