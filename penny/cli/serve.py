"""``python -m penny serve``: the gateway, and the local worker that SELF_HOSTED needs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from config.schema import Config
from penny.cli.configured import (
    add_address_options,
    add_config_option,
    address_errors,
    load_config,
)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("serve", help="start Penny: page, /ws, health, metrics")
    add_config_option(parser)
    add_address_options(parser, "gateway")
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="gateway processes on one port, one per core, over gateway.processes",
    )
    parser.add_argument(
        "--sample",
        action="store_true",
        help="the sample company's actions, such as paying an invoice (actions.sample)",
    )
    # How the supervisor starts each of them.
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--siblings", type=Path, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Raises ConfigErrors when the file or the port is wrong."""
    if arguments.number is not None:
        arguments.reuse_port = True
    config = load_config(arguments)
    with address_errors(config, "gateway"):
        if arguments.number is None and config.gateway.processes > 1:
            return _supervise(config)
        # Here, not above: the other commands start in a fraction of the time without the gateway.
        from penny.gateway.process import main
        from penny.gateway.sibling_processes import SiblingProcesses

        siblings = None
        if arguments.number is not None:
            siblings = SiblingProcesses(
                arguments.siblings, arguments.number, config.gateway.processes
            )
        main(config, siblings=siblings)
    return 0


def _supervise(config: Config) -> int:
    from penny.gateway.supervisor import Supervisor, check_processes
    from penny.logs import configure_logs

    configure_logs(config.logs.level, config.logs.format)
    check_processes(config)
    gateway = config.gateway

    def command(number: int, port: int, siblings: Path) -> Sequence[str]:
        address = ("--host", gateway.host, "--port", str(port))
        place = ("--number", str(number), "--siblings", str(siblings))
        count = ("--processes", str(gateway.processes))
        file = ("--config", str(config.origin.path)) if config.origin.path else ()
        sample = ("--sample",) if config.actions.sample else ()
        return (sys.executable, "-m", "penny", "serve", *address, *count, *place, *file, *sample)

    async def serve() -> int:
        supervisor = Supervisor(command, gateway.processes, gateway.drain_s)
        return await supervisor.run(gateway.host, gateway.port)

    return asyncio.run(serve())
