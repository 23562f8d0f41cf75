"""`python -m penny demo`: the double Penny of modes/external/offline.yaml."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.doubles.process import ROOT, write_config


pytestmark = [pytest.mark.engines, pytest.mark.process]


SILENT = {"modes": {"SELF_HOSTED": {"endpoint": "ws://127.0.0.1:1/v1/realtime"}}}
"""A speaker that loads no engine: nobody talks to it."""


@contextmanager
def demo(folder: Path, port: int = 0, **speaker: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """The command with what it writes in ``folder``; ended by SIGTERM with the test."""
    front = yaml.safe_load((ROOT / "modes/external/offline.yaml").read_text())
    front["kb"] = {"documents": str(ROOT / "kb/documents"), "index": str(folder / "front-kb")}
    front["calls"] = {"folder": str(folder / "calls"), "url": f"sqlite:///{folder}/calls.sqlite"}
    front["keys"]["file"] = str(folder / "keys.sqlite")
    (folder / "front.yaml").write_text(yaml.safe_dump(front))
    files = ("--config", str(folder / "front.yaml"), "--speaker-config")
    files += (str(write_config(folder, **speaker)),)
    command = [sys.executable, "-m", "penny", "demo", *files, "--port", str(port)]
    with (
        (folder / "stderr").open("w") as stderr,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What the pattern's first group found in a line to come."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(f"no line like {pattern!r}")


def test_a_typed_question_is_answered_with_facts_and_a_folio_and_ctrl_c_ends_both(
    tmp_path: Path,
) -> None:
    with demo(tmp_path) as process:
        read_until(process, r"(simulated)")
        port = read_until(process, r"listens on http://127\.0\.0\.1:(\d+)")
        url = f"ws://127.0.0.1:{port}/ws"
        talk = ("talk", "--url", url, "--json", "--text", "¿Cuándo vence la factura F-2024-1234?")
        done = subprocess.run(
            [sys.executable, "-m", "penny", *talk], cwd=ROOT, capture_output=True, text=True
        )
        pennys = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0

    assert len(pennys) == 2
    assert not any(penny.is_running() for penny in pennys)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ended = next(line for line in lines if line["type"] == "session_ended")
    assert lines[-1]["mode"] == "EXTERNAL"
    answer = lines[-1]["turns"][0]["penny"]
    assert "1500 euros" in answer
    assert "15 de enero" in answer
    assert ended["details"]["brain"]["folios"] >= 1


def test_the_end_of_the_speaker_is_told_and_ends_both(tmp_path: Path) -> None:
    with demo(tmp_path, penny=SILENT) as process:
        read_until(process, r"(listens on)")
        speaker, front = psutil.Process(process.pid).children()

        speaker.kill()

        assert process.wait() == 1
        assert not front.is_running()
    assert "The speaker ended with exit status -9" in (tmp_path / "stderr").read_text()


def test_a_port_in_use_is_told_and_ends_both(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        demo(tmp_path, taken.getsockname()[1], penny=SILENT) as process,
    ):
        assert process.wait() == 1

    said = (tmp_path / "stderr").read_text()
    assert "cannot listen on" in said
    assert "the demo ends" in said
