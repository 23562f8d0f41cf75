"""A module run in a process whose wall clock a test sets: a file holds the seconds it is off.

Only the wall clock is off, as when an operator or NTP sets it: monotonic time goes on. Run it as
``python -m tests.doubles.moved_clock MODULE ARGUMENTS``.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path


OFF_BY = "TEST_CLOCK_OFF_BY"
"""Environment variable: the file."""


def move_clock(path: Path) -> None:
    """From here on ``time.time`` and ``time.time_ns`` are off by what ``path`` says."""
    real_s = time.time

    def moved_s() -> float:
        return real_s() + float(path.read_text())

    time.time = moved_s
    time.time_ns = lambda: round(moved_s() * 1e9)


if __name__ == "__main__":
    move_clock(Path(os.environ[OFF_BY]))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
