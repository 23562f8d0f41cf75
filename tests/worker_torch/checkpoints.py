"""Small checkpoints for the models that need torch: made by the project's scripts, once.

    python -m tests.worker_torch.checkpoints

makes what is missing under ``var/checkpoints``; ``make test-worker`` runs it before the tests, as
training takes longer than a test may.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).parents[2]
CACHE = ROOT / "var" / "checkpoints"
STAND_INS = Path(__file__).parent / "stand_ins"
NAMES = ("tiny_xtts", "tiny_qwen")


def make(name: str) -> Path:
    """Run ``tests.checkpoints.<name>`` once per version of its source."""
    source = ROOT / "tests" / "checkpoints" / f"{name}.py"
    folder = CACHE / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        beside = folder.with_suffix(".part")
        shutil.rmtree(beside, ignore_errors=True)
        command = [sys.executable, "-m", f"tests.checkpoints.{name}", str(beside)]
        environment = os.environ | {"PYTHONPATH": str(STAND_INS), "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        beside.rename(folder)
    return folder


if __name__ == "__main__":
    for name in NAMES:
        print(make(name).relative_to(ROOT))
