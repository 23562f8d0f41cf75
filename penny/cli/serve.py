"""``python -m penny serve``: the gateway, and the local worker that SELF_HOSTED needs."""

from __future__ import annotations

import argparse

from penny.cli.configured import (
    ADDRESS_ERRORS,
    add_address_options,
    add_config_option,
    explain_address,
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

    try:
        main(config)
    except OSError as error:
        if error.errno not in ADDRESS_ERRORS:
            raise
        raise explain_address(config, "gateway", error) from error
    return 0
