"""Penny as a user starts her: real processes on loopback, stopped by id."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml


ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT_S = 60
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "RUNPOD_API_KEY")


def write_config(folder: Path, **sections: dict[str, object]) -> Path:
    """penny.yaml as shipped, its files in ``folder``, ``sections`` over its own (one level)."""
    config = yaml.safe_load((ROOT / "penny.yaml").read_text())
    config["kb"] |= {"documents": str(ROOT / "kb/documents"), "index": str(folder / "kb")}
    config["gateway"] |= {"port": 0, "drain_s": 1.0}
    config["logs"] |= {"format": "json"}
    for name, values in sections.items():
        config[name] |= values
    path = folder / "penny.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True))
    return path


@contextmanager
def running_process(config: Path, log: Path, **environment: str) -> Iterator[tuple[str, int]]:
    """`python -m penny serve`; its address and its process id. stderr goes to ``log``."""
    env = {name: value for name, value in os.environ.items() if name not in KEYS}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "penny", "serve", "--config", str(config)],
            cwd=ROOT,
            env={**env, **environment},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    try:
        banner = process.stdout.readline()
        address = re.search(r"http://\S+", banner)
        if address is None:
            raise RuntimeError(f"Penny did not start: {log.read_text()[-2000:]}")
        yield address.group(), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
