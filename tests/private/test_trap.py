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

pytestmark = [pytest.mark.process, pytest.mark.engines]


def test_nothing_reaches_a_trap_that_answers(tmp_path: Path) -> None:
    spaces = ["unshare", "--net", "--mount"]
    if os.geteuid() != 0:
        spaces.append("--map-root-user")

    done = subprocess.run(
        [*spaces, sys.executable, "-m", "tests.private.watched", str(tmp_path), str(SECONDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110 + SECONDS,
        env={**os.environ, "PENNY_LIGHT": "1"},
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
    assert seen["programs"], "the worker and its children were among the watched"
