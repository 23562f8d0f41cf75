"""``python -m tests.brain.calls [NAME…] [--brain-s 2.5]``: play both sets, print their scores.

The one is by the hand that wrote the code, the other (``other_hand.jsonl``) by one that had not
read it.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import textwrap
from pathlib import Path

import structlog

from tests.brain.calls.catalogue import all_calls
from tests.brain.calls.other_hand import HeldCall, other_calls
from tests.brain.calls.other_play import HeldPlay, HeldScore
from tests.brain.calls.play import Play
from tests.brain.calls.score import Score
from tests.brain.calls.script import Call
from tests.virtual_time import VirtualTimeLoop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--brain-s", type=float, nargs="*", default=[1.0, 2.5])
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    level = logging.DEBUG if arguments.verbose else logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "none"
    sets: list[tuple[str, list[Call], type[Score]]] = [
        ("by the code's own hand", all_calls(), Score),
        ("by another hand", list(other_calls()), HeldScore),
    ]
    for brain_s in arguments.brain_s:
        for hand, every, kind in sets:
            calls = [
                c for c in every if not arguments.names or c.name.startswith(tuple(arguments.names))
            ]
            if calls:
                score = kind()
                for call in calls:
                    score.add(_play(call, brain_s, verbose=arguments.verbose))
                print(f"\n{hand}: brain {brain_s:g} s, {len(calls)} calls\n{score.table()}")
                for fault in score.faults:
                    print(f"  {fault}")


def _play(call: Call, brain_s: float, *, verbose: bool) -> Play:
    played = HeldPlay(call, brain_s) if isinstance(call, HeldCall) else Play(call, brain_s)
    loop = VirtualTimeLoop()
    with tempfile.TemporaryDirectory() as folder:
        try:
            loop.run_until_complete(played.run(Path(folder)))
        finally:
            loop.close()
    for answer in played.answers if verbose else ():
        print(f"{answer.at_s:7.2f} turn {answer.turn}: {answer.text}")
        print(f"        heard: {answer.heard}")
        print(textwrap.indent("\n".join(answer.context.notes), "        | "))
    return played


if __name__ == "__main__":
    main()
