"""A private session where a way out exists: a route, a name server, and a trap that answers.

Run by ``test_trap.py`` in a network and a mount namespace with the engines that are to talk:
``embedded``, ``natural`` (its weights are in ``var/models``), or ``xtts`` (by coqui-tts itself in
the worker's environment; its weights are small and random). Prints one JSON object: what the
session gave, what reached the trap while Penny lived, and of a control that does escape.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from penny.audio.wav import write_wav
from runpod_worker.voice_samples import VoiceSamples
from tests.doubles.process import ROOT, running_process, write_config
from tests.private import trap
from tests.private.session import converse, speak


WORKER = Path(os.environ.get("PENNY_WORKER_ENV", ".venv-worker"))
"""The environment that has torch (``make test-private`` makes it)."""


def configure(engines: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """The configuration with these engines, and what of the environment they need."""
    if engines == "embedded":
        return write_config(folder), {"PENNY_LIGHT": "1"}
    models: dict[str, object] = {"models": str(ROOT / "var/models")}
    if engines == "natural":
        return write_config(folder, penny={"profile": "natural"}, worker=models), {}
    python = folder / "python"
    stand_ins = ROOT / "tests/worker_torch/stand_ins"
    python.write_text(
        f"#!/bin/sh\nPYTHONPATH={stand_ins} PENNY_VOCODER_CHANNELS=16 OMP_NUM_THREADS=1 "
        f'exec {WORKER.absolute()}/bin/python "$@"\n'
    )
    python.chmod(0o755)
    (weights,) = (ROOT / "var/checkpoints").glob("tiny_xtts-*")
    xtts = {"accept_license": True, "model": str(weights), "python": str(python), "processes": 1}
    stages = {"vad": "silero", "stt": "embedded", "llm": "reader", "tts": "xtts", "turn": "auto"}
    own = {"own": {**stages, "engines": {"xtts": {**xtts, "voices": str(voices(folder))}}}}
    return write_config(folder, penny={"profile": "own"}, profiles=own), {}


def voices(folder: Path) -> Path:
    """A folder with one voice to clone."""
    text = "Buenos días, le atiende Penny. ¿En qué puedo ayudarle esta mañana? Dígame su nombre."
    write_wav(folder / "ana.wav", asyncio.run(speak(text)), 24_000)
    VoiceSamples(folder / "voices").add("ana", folder / "ana.wav")
    return folder / "voices"


@contextmanager
def trapped(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The trap, and the only way out of here leading to it."""
    with subprocess.Popen(
        ["unshare", "--net", sys.executable, "-m", "tests.private.trap"],
        stdout=subprocess.PIPE,
        text=True,
    ) as outside:
        for words in (
            "link set lo up",
            f"link add house0 type veth peer name {trap.DEVICE} netns {outside.pid}",
            f"addr add {trap.HOUSE}/24 dev house0",
            f"-6 addr add {trap.HOUSE_6}/64 dev house0 nodad",
            "link set house0 up",
            f"route add default via {trap.HERE}",
            f"-6 route add default via {trap.HERE_6}",
        ):
            subprocess.run(["ip", *words.split()], check="-6" not in words, capture_output=True)
        names = folder / "resolv.conf"
        names.write_text(f"nameserver {trap.HERE}\noptions timeout:1 attempts:1\n")
        subprocess.run(["mount", "--bind", str(names), "/etc/resolv.conf"], check=True)
        assert outside.stdout is not None
        assert outside.stdout.readline() == "ready\n"
        try:
            yield outside
        finally:
            outside.kill()


def told_by(outside: subprocess.Popen[str]) -> list[str]:
    outside.send_signal(signal.SIGTERM)
    assert outside.stdout is not None
    seen: list[str] = json.loads(outside.stdout.readline())
    return seen


def escape() -> None:
    """What a leak would look like: a name, a connection, a datagram."""
    with suppress(OSError), socket.create_connection(("collector.vendor.example", 443), 5):
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"x", ("198.51.100.7", 4317))


def main(engines: str, folder: Path, seconds: float) -> None:
    log = folder / "penny.log"
    config, environment = configure(engines, folder)
    ends_s = time.monotonic() + seconds
    programs: set[str] = set()
    with trapped(folder) as outside:
        with running_process(config, log, **environment) as (url, pid):
            said: dict[str, object] = {}
            calls = 0
            while time.monotonic() < ends_s or not calls:
                said = asyncio.run(converse(url))
                calls += 1
                for each in psutil.Process(pid).children(recursive=True):
                    with suppress(psutil.Error):
                        programs.add(" ".join(each.cmdline()[1:3]))
        escape()
        time.sleep(0.5)
        seen = told_by(outside)
    own = {"name collector.vendor.example", f"tcp {trap.ANSWER} 443", "udp 198.51.100.7 4317"}
    lookup = f"udp {trap.HERE} 53"  # of a name that is noted beside it
    print(
        json.dumps(
            {
                **said,
                "calls": calls,
                "programs": sorted(programs),
                "leaked": [each for each in seen if each not in own and each != lookup],
                "controls": sorted(own & set(seen)),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
