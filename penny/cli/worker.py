"""``python -m penny worker``: the pipeline alone, a Realtime server of its own."""

from __future__ import annotations

import argparse

from config.schema import Config
from penny.cli.configured import (
    add_address_options,
    add_config_option,
    address_errors,
    load_config,
    settle_profile,
)
from penny.errors import ModeUnavailable


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("worker", help="run the pipeline worker alone")
    add_config_option(parser)
    add_address_options(parser, "worker")
    parser.add_argument("--profile", help="which of `profiles` to run, over penny.profile")
    parser.add_argument("--sample", action="store_true", help="as of serve: its actions' phrases")
    parser.add_argument(
        "--announce",
        action="store_true",
        help="tell the port as one JSON line and end with stdin: how the gateway starts a worker",
    )
    parser.add_argument(
        "--settings",
        action="store_true",
        help="print what a rented worker reads from PENNY_WORKER_SETTINGS, and end",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. Raises ConfigErrors, EngineError, ModeUnavailable."""
    config = load_config(arguments)
    if config.actions.sample and not config.actions.table:
        from penny.company.service import read_actions

        config = config.with_actions(read_actions("http://127.0.0.1"))
    if arguments.settings:
        print(describe_settings(config))
        return 0
    config = settle_profile(config)
    try:
        # Here, not above: engines take a while to import, and only this command needs them.
        from runpod_worker.server import main
    except ModuleNotFoundError as error:
        raise ModeUnavailable(
            f"this environment has no engines: {error.name} is not installed. Install"
            " requirements/base.txt, or name a worker elsewhere in penny.modes.SELF_HOSTED.endpoint"
        ) from error

    with address_errors(config, "worker"):
        main(
            config.worker_settings(),
            config.worker.host,
            config.worker.port,
            announce=arguments.announce,
        )
    return 0


def describe_settings(config: Config) -> str:
    """The worker's settings as JSON, without what is this machine's own: its folders."""
    settings = config.worker_settings().model_copy(update={"slots": config.runpod.slots})
    return settings.model_dump_json(exclude_defaults=True, exclude={"models", "library"})
