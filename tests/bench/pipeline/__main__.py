"""Prints what Penny adds to the sum of its engines, beside pipecat with the same engines.

    python -m tests.bench.pipeline [--sessions 1 5 20 50] [--turns 8] [--systems penny livekit]

Every caller speaks in real time over real sockets from this process; each system runs in a process
of its own. "answer" is the time from the last sound of a question to the first agent audio;
"interruption" the time from the first sound over the agent to the last agent audio heard. The
recogniser has the text 300 ms after the last sound in all systems. What is said: see ``speech``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np

from tests.bench.pipeline import parts, speech
from tests.bench.pipeline.calls import Caller, Line, PennyLine, RawLine, Times
from tests.bench.pipeline.floor import find_floors
from tests.bench.pipeline.speech import CHUNK_MS, Question
from tests.doubles.speech import silence


ROOT = Path(__file__).resolve().parents[3]
PEER = ROOT / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True)
class System:
    """``in_a_row_s``: the same parts one after the other, with this system's own wait for the end
    of a turn where that is longer than the recogniser's."""

    detection: dict[str, object] | None = None
    server: tuple[str, ...] = ("penny_server",)
    in_a_row_s: float = parts.SUM_S
    tells_when_it_stops: bool = False


SYSTEMS = {
    "penny semantic_vad": System({"type": "semantic_vad", "eagerness": "auto"}),
    "penny semantic_vad high": System({"type": "semantic_vad", "eagerness": "high"}),
    "penny server_vad 500": System(
        {"type": "server_vad", "silence_duration_ms": 500},
        in_a_row_s=parts.SUM_S - parts.STT_S + 0.5,
    ),
    "pipecat defaults": System(server=("pipecat_server",)),
    "pipecat tuned": System(server=("pipecat_server", "tuned")),
    "livekit defaults": System(server=("livekit_server",), tells_when_it_stops=True),
    "livekit tuned": System(server=("livekit_server", "tuned"), tells_when_it_stops=True),
}


@contextmanager
def server(python: Path, module: str, *arguments: str) -> Iterator[int]:
    """The port of a system started in a process of its own."""
    process = subprocess.Popen(
        [str(python), "-m", f"tests.bench.pipeline.{module}", *arguments],
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


async def measure(
    make_line: Callable[[], Line],
    corpus: Callable[[int], list[Question]],
    sessions: int,
    turns: int,
) -> Times:
    """Callers who begin a little after each other, all their times together."""
    callers = []
    known: list[Question] = []
    async with aiohttp.ClientSession() as http:
        for index in range(sessions):
            line = make_line()
            known = known or corpus(line.rate_hz)
            await line.open(http)
            quiet = silence(CHUNK_MS, line.rate_hz)
            asked = [known[(turn + index) % len(known)] for turn in range(turns)]
            callers.append((line, Caller(line, asked, lambda quiet=quiet: quiet)))

        async def run(index: int, caller: Caller) -> None:
            await asyncio.sleep(index * 0.37)
            await caller.run()

        await asyncio.gather(*(run(i, caller) for i, (_, caller) in enumerate(callers)))
        for line, _ in callers:
            await line.close()
    whole = Times()
    for line, caller in callers:
        whole.floors += await find_floors(caller.sent, caller.onsets, line.rate_hz)
        whole.answers += caller.times.answers
        whole.interruptions += caller.times.interruptions
        whole.lags += caller.times.lags
        whole.lost += caller.times.lost
        whole.early += caller.times.early
    return whole


def row(name: str, system: System, sessions: int, times: Times) -> str:
    def at(values: list[float], share: int) -> str:
        return f"{np.percentile(values, share) * 1000:.0f}" if values else "-"

    added = [answer - parts.SUM_S for answer in times.answers]
    saved = [answer - system.in_a_row_s for answer in times.answers]
    cells = (
        name,
        sessions,
        len(times.answers),
        at(times.answers, 50),
        at(times.answers, 90),
        at(added, 50),
        at(added, 90),
        at(saved, 50),
        at(times.interruptions, 50),
        at(times.interruptions, 90),
        at(times.floors, 50),
        at(times.floors, 90),
        times.early,
        times.lost,
        at(times.lags, 99),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 5, 20, 50])
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--systems", nargs="+", default=["penny", "pipecat", "livekit"])
    parser.add_argument("--speech", choices=["recorded", "made"])
    given = parser.parse_args()
    people = bool(speech.recorded(16_000)) if given.speech is None else given.speech == "recorded"
    if people and not speech.recorded(16_000):
        parser.error(f"--speech recorded: no recordings in {os.path.relpath(speech.FOLDER)}")
    corpus = speech.recorded if people else speech.made
    said = "recordings of people" if people else "made by eSpeak NG (no recordings were found)"
    # Whoever stops the bench stops the servers it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"sum of the parts: {parts.SUM_S * 1000:.0f} ms; times in ms; speech: {said}\n")
    print(
        "| system | sessions | turns | answer p50 | p90 | added p50 | p90 | over parts in a row "
        "| interruption p50 | p90 | VAD alone p50 | p90 | early | lost | callers' lag p99 |"
    )
    print("|" + "---|" * 15)
    for sessions in given.sessions:
        for name, system in SYSTEMS.items():
            if not any(name.startswith(wanted) for wanted in given.systems):
                continue
            python = PEER if system.detection is None else Path(sys.executable)
            with server(python, *system.server) as port:

                def make_line(port: int = port, system: System = system) -> Line:
                    if system.detection is None:
                        url = f"ws://127.0.0.1:{port}/"
                        return RawLine(url, tells_when_it_stops=system.tells_when_it_stops)
                    return PennyLine(f"ws://127.0.0.1:{port}/v1/realtime", system.detection)

                times = asyncio.run(measure(make_line, corpus, sessions, given.turns))
            print(row(name, system, sessions, times), flush=True)


if __name__ == "__main__":
    main()
