"""Prints how Penny takes turns, cell by cell.

python -m tests.bench.turns [--cells S_BC echo] [--n 20] [--doors ws realtime]
"""

from __future__ import annotations

import argparse
import logging
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import structlog

from runpod_worker.engines.smart_turn import SmartTurn
from runpod_worker.settings import SmartTurnSettings
from tests.bench.pipeline import speech
from tests.bench.turns.calls import run
from tests.bench.turns.cells import CELLS, ECHOES, Score, describe
from tests.virtual_time import VirtualTimeLoop


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(CELLS))
    parser.add_argument("--doors", nargs="+", default=["ws", "realtime"])
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--smart-turn", default="", help="ONNX file of the turn model")
    parser.add_argument("--recordings", type=Path, default=speech.FOLDER, help="people's speech")
    parser.add_argument("-v", action="store_true", help="every trial")
    given = parser.parse_args()
    speech.FOLDER = given.recordings
    names = [name for name in CELLS if any(name.startswith(wanted) for wanted in given.cells)]
    print("| cell | door | n | share | p50 s | p95 s | bar |")
    print("|" + "---|" * 7)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for name in names:
            for door in given.doors:
                count = len(ECHOES) if name == "echo" else given.n
                jobs = [(name, door, index, given.smart_turn) for index in range(count)]
                scores = list(pool.map(measure, jobs))
                cells = (name, door, count, *describe(scores, CELLS[name]), CELLS[name].bar)
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)
                if given.v:
                    for index, score in enumerate(scores):
                        print(f"    {index} {score}")


if __name__ == "__main__":
    main()
