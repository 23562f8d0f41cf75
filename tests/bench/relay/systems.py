"""What is measured: each system as the command that serves ``/ws`` on a port.

Every one takes raw PCM16 24 kHz frames of 20 ms and sends them back the same way, after the
client's ``session_start``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.relay.process import ROOT


PEERS_PYTHON = ROOT / ".venv-bench/bin/python"
PENNY_YAML = """\
gateway: {{port: {port}, max_sessions: 100000, drain_s: 1.0}}
logs: {{level: warning}}
penny:
  default_mode: SELF_HOSTED
  modes:
    SELF_HOSTED: {{endpoint: "{upstream}"}}
    EXTERNAL: {{enabled: false}}
"""


@dataclass(frozen=True, slots=True)
class System:
    """``command`` of (port, upstream URL, folder for its files)."""

    name: str
    work: str
    command: Callable[[int, str, Path], Sequence[str]]
    python: Path = Path(sys.executable)


def _module(name: str, *, relays: bool) -> Callable[[int, str, Path], Sequence[str]]:
    def command(port: int, upstream: str, _folder: Path) -> Sequence[str]:
        arguments = (str(port), upstream) if relays else (str(port),)
        return ("-m", f"tests.bench.relay.{name}", *arguments)

    return command


def _penny(port: int, upstream: str, folder: Path) -> Sequence[str]:
    config = folder / "penny.yaml"
    config.write_text(PENNY_YAML.format(port=port, upstream=upstream), encoding="utf-8")
    return ("-m", "penny", "serve", "--config", str(config))


PENNY = System("penny", "session", _penny)
BARE = System("aiohttp", "bare relay", _module("floor_aiohttp", relays=True))
FLOORS = (
    System("aiohttp", "echo", _module("floor_aiohttp", relays=False)),
    BARE,
    System("picows", "echo", _module("floor_picows", relays=False)),
    System("picows", "bare relay", _module("floor_picows", relays=True)),
)
PEERS = (
    System("livekit", "realtime session", _module("peer_livekit", relays=True), PEERS_PYTHON),
    System("pipecat", "realtime service", _module("peer_pipecat", relays=True), PEERS_PYTHON),
    System("pipecat", "passthrough", _module("peer_pipecat", relays=False), PEERS_PYTHON),
)
