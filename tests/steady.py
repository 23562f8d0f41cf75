"""Runs pytest, and what failed once more, alone: ``python -m tests.steady ARGUMENTS``.

A test that fails twice fails the run. One that passes alone is unsteady: it is named at the end and
in ``var/unsteady.txt``, since a busy machine is no reason to fail and every reason to look.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
UNSTEADY = Path("var/unsteady.txt")
MOST = 25
"""Failures that may be chance; more are none, and are not run again."""


def run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments]).returncode


def failed() -> set[str]:
    """Tests (or files that could not be read) that failed when they ran last."""
    try:
        return set(json.loads(LAST_FAILED.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return set()


def main(arguments: list[str]) -> int:
    UNSTEADY.unlink(missing_ok=True)
    status = run("--cache-clear", *arguments)
    first = failed()
    if status != 1 or not 0 < len(first) <= MOST:
        return status
    print(f"\n{len(first)} failed; once more, alone:", *sorted(first), sep="\n  ", flush=True)
    status = run("-q", "-n", "0", "--last-failed", "--last-failed-no-failures", "none")
    unsteady = sorted(first - failed()) if status in (0, 1) else []
    if unsteady:
        lines = [f"{len(unsteady)} UNSTEADY, failed at first and passed alone; see above why:"]
        text = "\n  ".join([*lines, *unsteady])
        UNSTEADY.parent.mkdir(exist_ok=True)
        UNSTEADY.write_text(f"{text}\n", encoding="utf-8")
        print(f"\n{text}")
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
