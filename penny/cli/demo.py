"""``python -m penny demo``: EXTERNAL without a key; a second Penny stands in for the vendor."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from penny.cli.configured import load_config


CONFIG = Path(__file__).resolve().parents[2] / "modes" / "external" / "offline.yaml"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
"""Kept from both: what is said to be simulated is."""
LOG_LINES = 15
"""Of the simulated speaker's log, when it has failed."""

SIMULATED = """\
EXTERNAL without a key. On this machine, and simulated:
  speaker: a second Penny at {address}, with the embedded ears and voice, in place of
           OpenAI Realtime (its log: {log})
  brain:   the knowledge base alone, in place of Claude: it finds and quotes, it does not think
As with the vendors: session, interruptions, facts before the answer, folios, kept calls.
Ctrl-C ends both.

"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("demo", help="EXTERNAL without a key: two Pennys, one the speaker")
    parser.add_argument("--config", type=Path, default=CONFIG, help="of the Penny to talk to")
    parser.add_argument("--speaker-config", type=Path, metavar="FILE", help="of the other one")
    parser.add_argument("--port", type=int, default=8080, help="where to talk; 0 takes a free one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; then 0, or 1 when one of the two could not start or ended."""
    given = argparse.Namespace(config=arguments.speaker_config)
    log = load_config(given).kb.index.parent / "demo-speaker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_until_signalled(arguments, log))


async def _until_signalled(arguments: argparse.Namespace, log: Path) -> int:
    loop, both = asyncio.get_running_loop(), asyncio.ensure_future(_run_both(arguments, log))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, both.cancel)
    try:
        return await both
    except asyncio.CancelledError:
        return 0


async def _run_both(arguments: argparse.Namespace, log: Path) -> int:
    started: list[Process] = []
    try:
        started.append(speaker := await _start_speaker(arguments.speaker_config, log))
        address = await _find_address(speaker)
        if address is None:
            return _explain("speaker", await speaker.wait(), log)
        print(SIMULATED.format(address=address, log=log), flush=True)
        front = ("--sample", "--config", str(arguments.config), "--port", str(arguments.port))
        started.append(await _serve(*front, PENNY_SPEAKER_PORT=address.rpartition(":")[2]))
        waits = [asyncio.create_task(process.wait()) for process in started]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if waits[0].done():
            return _explain("speaker", await speaker.wait(), log)
        return _explain("Penny in front of it", await started[1].wait(), None)
    finally:
        await asyncio.shield(asyncio.gather(*map(_end, started)))


async def _serve(
    *options: str, stdout: int | None = None, stderr: int | None = None, **more: str
) -> Process:
    # In a session of its own: Ctrl-C reaches this process alone, which ends both in order.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penny", "serve", *options),
        stdout=stdout,
        stderr=stderr,
        env={name: value for name, value in os.environ.items() if name not in KEYS} | more,
        start_new_session=True,
    )


async def _start_speaker(config: Path | None, log: Path) -> Process:
    options = ("--config", str(config)) if config else ()
    with log.open("wb") as stderr:
        return await _serve(*options, "--port", "0", stdout=PIPE, stderr=stderr.fileno())


async def _find_address(speaker: Process) -> str | None:
    """The address in the first line of its banner; None when it ended without one."""
    assert speaker.stdout is not None
    found = re.search(rb"http://\S+", await speaker.stdout.readline())
    return found[0].decode() if found else None


def _explain(name: str, status: int, log: Path | None) -> int:
    """Say that one of the two ended, and the end of its log."""
    last = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log else ()
    print(
        *last,
        f"The {name} ended with exit status {status}: the demo ends.",
        sep="\n",
        file=sys.stderr,
    )
    return 1


async def _end(process: Process) -> None:
    """SIGTERM, and wait: it drains its calls by itself."""
    if process.returncode is None:
        process.terminate()
    await process.wait()
