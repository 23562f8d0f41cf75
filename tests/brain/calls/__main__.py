"""``python -m tests.brain.calls [NAME…] [--brain-s 2.5]``: play the set and print its score."""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import textwrap
from pathlib import Path

import structlog

from tests.brain.calls.catalogue import all_calls
from tests.brain.calls.play import Play, play
from tests.brain.calls.score import score_all
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
    calls = [
        call
        for call in all_calls()
        if not arguments.names or any(call.name.startswith(name) for name in arguments.names)
    ]
    for brain_s in arguments.brain_s:
        plays: list[Play] = []
        for call in calls:
            with tempfile.TemporaryDirectory() as folder:
                loop = VirtualTimeLoop()
                try:
                    plays.append(loop.run_until_complete(play(call, brain_s, Path(folder))))
                finally:
                    loop.close()
            if arguments.verbose:
                for answer in plays[-1].answers:
                    print(f"{answer.at_s:7.2f} turn {answer.turn}: {answer.text}")
                    print(f"        heard: {answer.heard}")
                    print(textwrap.indent("\n".join(answer.context.notes), "        | "))
        score = score_all(plays)
        print(f"\nbrain {brain_s:g} s, {len(plays)} calls\n{score.table()}")
        for fault in score.faults:
            print(f"  {fault}")


if __name__ == "__main__":
    main()
