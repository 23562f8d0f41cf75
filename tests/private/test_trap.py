"""Private by proof, with a way out: a route, a name server and a trap that answers see nothing.

The kernel's guard and Python's hooks are Penny's; the trap is neither: it sits at the other end of
the only cable, and notes each packet of any process, child or library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("PENNY_PRIVATE_SECONDS", "15"))
"""How long calls are made; ``make test-private`` asks for more than the 75 s after which native
telemetry was seen to call home."""
ENGINES = os.environ.get("PENNY_PRIVATE_ENGINES", "embedded").split(",")
"""Which engines talk: all by ``make test-private``, which brings their weights."""
CHILDREN = {"embedded": "sphinx_child", "natural": "penny", "xtts": "xtts_process"}

pytestmark = [pytest.mark.process, pytest.mark.engines]


@pytest.mark.parametrize("engines", ENGINES)
@pytest.mark.timeout(240 + SECONDS)
def test_nothing_reaches_a_trap_that_answers(tmp_path: Path, engines: str) -> None:
    spaces = ["unshare", "--net", "--mount"]
    if os.geteuid() != 0:
        spaces.append("--map-root-user")

    done = subprocess.run(
        [
            *spaces,
            sys.executable,
            "-m",
            "tests.private.watched",
            engines,
            str(tmp_path),
            str(SECONDS),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200 + SECONDS,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["controls"] == [
        "name collector.vendor.example",
        "tcp 203.0.113.9 443",
        "udp 198.51.100.7 4317",
    ]  # the trap answers, and sees what leaves
    assert seen["leaked"] == []
    assert "plazo" in seen["heard"]
    assert seen["audio_bytes"] > 9_600
    assert any(CHILDREN[engines] in program for program in seen["programs"]), seen["programs"]
