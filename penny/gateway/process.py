"""A gateway's process: from its first line of log to the drain after SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

import structlog
import uvloop

from config.schema import Config
from penny.gateway.app import Gateway
from penny.gateway.heap import settle_heap
from penny.gateway.sibling_processes import SiblingProcesses
from penny.logs import configure_logs


log = structlog.get_logger()


def main(
    config: Config,
    host: str | None = None,
    port: int | None = None,
    siblings: SiblingProcesses | None = None,
) -> None:
    """Run a gateway, alone or as one of several processes, until it is told to stop."""
    settle_heap()
    stderr = configure_logs(config.logs.level, config.logs.format)
    uvloop.run(
        serve(Gateway(config, siblings, stderr), siblings, host, port, config.gateway.drain_s)
    )


async def serve(
    gateway: Gateway,
    siblings: SiblingProcesses | None,
    host: str | None,
    port: int | None,
    drain_s: float,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if siblings is not None:
        loop.add_reader(sys.stdin.fileno(), _watch_parent, stop)
    starting = asyncio.create_task(gateway.start(host, port), name="gateway start")
    stopping = asyncio.create_task(stop.wait(), name="gateway stop signal")
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            # What was loaded stays for good. Looking through it for garbage again and again
            # would stop every call for tens of milliseconds.
            gc.collect()
            gc.freeze()
            if siblings is None or siblings.number == 1:
                sys.stdout.write(banner(gateway, 1 if siblings is None else siblings.count))
                sys.stdout.flush()
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await gateway.stop(drain_s)


def banner(gateway: Gateway, processes: int = 1) -> str:
    """Address, modes, and for each that cannot talk the reason and the remedy."""
    assert gateway.routes is not None
    engines = gateway.describe_engines()
    address = url_of(gateway.host, gateway.port, is_tls=gateway.is_tls)
    lines = [f"Penny listens on {address}"]
    if processes > 1:
        lines[0] += f" with {processes} processes"
    for mode in gateway.routes.describe_modes()["modes"]:
        default = " (default)" if mode["default"] else ""
        if mode["available"]:
            lines.append(f"  {mode['name']}{default}: ready, {mode['label']}")
            if engines and mode["name"] == "SELF_HOSTED":
                lines.append(f"    {engines}")
            lines.extend(f"    {text}" for text in (mode["notice"] or {}).values())
        else:
            lines.append(f"  {mode['name']}{default}: {mode['reason']}")
            lines.append(f"    -> {mode['remedy']}")
    return "\n".join(lines) + "\n"


def url_of(host: str, port: int, *, is_tls: bool = False) -> str:
    """The address as a browser takes it: an IPv6 one stands in brackets (RFC 3986, 3.2.2)."""
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _watch_parent(stop: asyncio.Event) -> None:
    """The supervisor holds our stdin open; its end is our end."""
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()
