"""Prints how Penny takes turns, cell by cell.

python -m tests.bench.turns [--cells S_BC echo] [--n 20] [--doors ws realtime]
    [--peers "livekit defaults" "pipecat defaults"] [--write]
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import structlog

from runpod_worker.engines.smart_turn import SmartTurn, find_model
from runpod_worker.settings import SmartTurnSettings
from tests.bench.pipeline import speech
from tests.bench.turns.calls import run
from tests.bench.turns.cells import CELLS, ECHOES, PLAIN, Score, describe
from tests.bench.turns.peers import PEERS, measure_peer
from tests.virtual_time import VirtualTimeLoop


README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- turns: begin -->", "<!-- turns: end -->"


def measure(job: tuple[str, str, int, str]) -> Score:
    """One trial, in a process of its own."""
    name, door, index, model = job
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    trial = CELLS[name].make(door, index)
    loop = VirtualTimeLoop()
    turn = SmartTurn(SmartTurnSettings(model=Path(model))) if model else None
    try:
        heard = loop.run_until_complete(run(trial.script, turn))
    finally:
        loop.close()
    return trial.judge(heard)


def table(given: argparse.Namespace, model: str) -> Iterator[str]:
    """The table's lines as they come."""
    names = [name for name in CELLS if any(name.startswith(wanted) for wanted in given.cells)]
    yield "| cell | door | n | share | p50 s | p95 s | bar |"
    yield "|" + "---|" * 7
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for name, door in product(names, given.doors):
            count = 2 * len(ECHOES) if name == "echo" else given.n
            jobs = [(name, door, index, model) for index in range(count)]
            scores = list(pool.map(measure, jobs))
            cells = (name, door, count, *describe(scores, CELLS[name]), CELLS[name].bar)
            yield "| " + " | ".join(map(str, cells)) + " |"
            if given.v:
                yield from (f"    {index} {score}" for index, score in enumerate(scores))
    for name, peer in product([name for name in names if name in PLAIN], given.peers):
        cell = CELLS[name]
        scores = measure_peer(peer, [cell.make("ws", index) for index in range(given.n)])
        cells = (name, peer, given.n, *describe(scores, cell), cell.bar)
        yield "| " + " | ".join(map(str, cells)) + " |"
        if given.v:
            yield from (f"    {index} {score}" for index, score in enumerate(scores))


def find_turn_model() -> str:
    """The turn model of this machine; '' where there is none."""
    with suppress(FileNotFoundError):
        return str(find_model(SmartTurnSettings().model, Path("var/models")))
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(CELLS))
    parser.add_argument("--doors", nargs="*", default=["ws", "realtime"])
    parser.add_argument("--peers", nargs="*", default=[], choices=PEERS, help="in real time")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--smart-turn", help="ONNX file of the turn model")
    parser.add_argument("--recordings", type=Path, default=speech.FOLDER, help="people's speech")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("-v", action="store_true", help="every trial")
    given = parser.parse_args()
    speech.FOLDER = given.recordings
    model = find_turn_model() if given.smart_turn is None else given.smart_turn
    people = "people" if speech.recorded(16_000) else "eSpeak NG"
    lines = [f"Speech of {people}; turn model: {'Smart Turn' if model else 'none'}.", ""]
    print(*lines, sep="\n")
    for line in table(given, model):
        print(line, flush=True)
        lines.append(line)
    if given.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        told = "\n".join(lines)
        README.write_text(f"{before}{BEGIN}\n{told}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
