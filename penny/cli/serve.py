"""``python -m penny serve``: the gateway, and the local worker that SELF_HOSTED needs."""

from __future__ import annotations

import argparse

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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Raises ConfigErrors when the file or the port is wrong."""
    config = load_config(arguments)
    # Here, not above: the other commands start in a fraction of the time without the gateway.
    from penny.gateway.app import main

    with address_errors(config, "gateway"):
        main(config)
    return 0
