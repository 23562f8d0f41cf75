"""`make check-locks`: resolves every lock from the index, for each platform and Python.

    .venv-lock/bin/python -m tests.setup.platforms

A lock passes where it is complete (whatever a locked package asks for there is locked, too, or left
out by ``overrides.in``) and where the index has a wheel of everything. Only metadata is downloaded;
it asks the network, so it is no test of `make test`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
LINUX = "x86_64-manylinux_2_28"
PLATFORMS = (LINUX, "aarch64-manylinux_2_28", "aarch64-apple-darwin")
MACOS = "14.0"
LOCKS = (
    *("gateway", "base", "dev", "runpod", "worker", "torch", "peers", "lock", "triton", "image"),
    "vllm",
)
ONE_IMAGE = ("image", "vllm")
"""Only installed in the worker's image: one platform, one Python."""
NEWER_GLIBC = {"triton", "image", "vllm"}
KEEPS_TORCH = {"torch", "vllm"}
"""Locked without ``overrides.in``."""


def main() -> int:
    asked = [
        (lock, platform.replace("2_28", "2_35") if lock in NEWER_GLIBC else platform, python)
        for lock in LOCKS
        for platform in ((LINUX,) if lock in ONE_IMAGE else PLATFORMS)
        for python in (PYTHONS[:1] if lock in ONE_IMAGE else PYTHONS)
    ]
    with ThreadPoolExecutor(4) as pool:
        reasons = list(pool.map(lambda each: ask(*each), asked))
    for each, reason in zip(asked, reasons, strict=True):
        print(*each, reason or "complete, a wheel of everything", sep="  ")
    return 1 if any(reasons) else 0


def ask(lock: str, platform: str, python: str) -> str:
    """Why the lock cannot be installed there; empty when it can."""
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--dry-run", "--require-hashes", "--only-binary", ":all:"]
    options += [] if lock in KEEPS_TORCH else ["--override", "requirements/overrides.in"]
    with tempfile.TemporaryDirectory() as empty:
        where = ["--target", empty, "--python-platform", platform, "--python-version", python]
        done = subprocess.run(
            [str(uv), "pip", "install", *options, *where, "-r", f"requirements/{lock}.txt"],
            cwd=ROOT,
            env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": MACOS},
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else done.stderr.strip()


if __name__ == "__main__":
    raise SystemExit(main())
