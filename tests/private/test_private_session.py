"""Private by proof: nothing of a SELF_HOSTED session leaves the machine.

The real gateway and the real worker run in a network namespace with loopback alone. There the
kernel itself counts every send that would have left, of every process and library in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.process, pytest.mark.engines]


def test_a_whole_private_session_never_tries_to_leave(tmp_path: Path) -> None:
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    script = 'ip link set lo up && exec "$0" -m tests.private.session "$1"'

    done = subprocess.run(
        [*unshare, "sh", "-c", script, sys.executable, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert seen["interfaces"] == ["lo"]
    assert "plazo" in seen["heard"]
    assert all(len(answer) > 10 for answer in seen["answers"])
    assert seen["audio_bytes"] > 9_600
    assert seen["reason"] == "client_ended"
    assert seen["attempts_of_the_control"] == 1  # an escape would have been counted
    assert seen["attempts"] == 0
    assert seen["refused_by_the_gateway"] == 0
    assert seen["refusals_logged"] == 0
