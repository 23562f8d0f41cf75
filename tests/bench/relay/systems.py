"""What is measured: each system as the command that serves calls on a port.

On ``/ws`` every one takes raw PCM16 24 kHz frames of 20 ms and sends them back the same way, after
the client's ``session_start``; on ``/v1/realtime`` it takes and sends Realtime events.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.relay.process import ROOT


PEERS_PYTHON = ROOT / ".venv-peers/bin/python"
PENNY_YAML = """\
gateway: {{port: {port}, max_sessions: 100000, drain_s: 1.0}}
logs: {{level: warning}}
brain: {{enabled: false}}
penny:
  default_mode: {mode}
  modes:
    SELF_HOSTED: {{endpoint: "{upstream}", enabled: {private}}}
    EXTERNAL: {{portavoz_base_url: "{vendor}", enabled: {external}}}
"""
DOORS = ("/ws", "/v1/realtime")
MODES = ("SELF_HOSTED", "EXTERNAL")


@dataclass(frozen=True, slots=True)
class System:
    """``command`` of (port, upstream URL, folder for its files). ``path``: where it takes calls.
    ``root``: the checkout that it runs from."""

    name: str
    work: str
    command: Callable[[int, str, Path], Sequence[str]]
    python: Path = Path(sys.executable)
    path: str = "/ws"
    root: Path = ROOT


def _module(name: str, *, relays: bool) -> Callable[[int, str, Path], Sequence[str]]:
    def command(port: int, upstream: str, _folder: Path) -> Sequence[str]:
        arguments = (str(port), upstream) if relays else (str(port),)
        return ("-m", f"tests.bench.relay.{name}", *arguments)

    return command


def _penny(mode: str, root: Path, recording: str) -> Callable[[int, str, Path], Sequence[str]]:
    def command(port: int, upstream: str, folder: Path) -> Sequence[str]:
        config = folder / "penny.yaml"
        text = PENNY_YAML.format(
            port=port,
            upstream=upstream,
            vendor=upstream.replace("ws:", "http:").removesuffix("/realtime"),
            mode=mode,
            private=str(mode == "SELF_HOSTED").lower(),
            external=str(mode == "EXTERNAL").lower(),
        )
        if (root / "config" / "calls.py").exists():  # older checkouts keep no sound and know no key
            text += f'calls: {{recording: "{recording}", folder: "{folder / "calls"}"}}\n'
        config.write_text(text, encoding="utf-8")
        return ("-m", "penny", "serve", "--config", str(config))

    return command


def pairings(name: str = "penny", root: Path = ROOT, recording: str = "off") -> tuple[System, ...]:
    """Penny by every door and in every mode, as the checkout at ``root`` has it."""
    return tuple(
        System(name, f"{path} {mode}", _penny(mode, root, recording), path=path, root=root)
        for path in DOORS
        for mode in MODES
    )


PAIRINGS = pairings()
PENNY = PAIRINGS[0]
BARE = System("aiohttp", "bare relay", _module("floor_aiohttp", relays=True))
BARE_EVENTS = replace(BARE, path="/v1/realtime")
"""On aiohttp, as Penny's doors were until 0.2; it looks at every event and passes it on."""


def bare_of(system: System) -> System:
    """The bare relay that does what ``system`` does and no more."""
    return BARE if system.path == BARE.path else BARE_EVENTS


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
