"""``python -m penny worker``: the pipeline alone, a Realtime server of its own."""

from __future__ import annotations

import argparse

from penny.cli.configured import (
    add_address_options,
    add_config_option,
    address_errors,
    load_config,
)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("worker", help="run the pipeline worker alone")
    add_config_option(parser)
    add_address_options(parser, "worker")
    parser.add_argument(
        "--announce",
        action="store_true",
        help="tell the port as one JSON line and end with stdin: how the gateway starts a worker",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. Raises ConfigErrors, EngineError."""
    config = load_config(arguments)
    # Here, not above: engines take a while to import, and only this command needs them.
    from runpod_worker.server import main

    with address_errors(config, "worker"):
        main(
            config.worker_settings(),
            config.worker.host,
            config.worker.port,
            announce=arguments.announce,
        )
    return 0
