"""The command line: one file per command beside this one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from penny import __version__
from penny.cli import (
    calls,
    check,
    demo,
    kb,
    keys,
    models,
    serve,
    sessions,
    talk,
    voices,
    webhooks,
    worker,
)
from penny.errors import ConfigErrors, PennyError


FAILED = 1


_COMMANDS = (serve, demo, talk, check, worker, kb, keys, calls, webhooks, sessions, models, voices)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m penny", description="A realtime voice gateway: private or fast."
    )
    parser.add_argument("--version", action="version", version=f"penny {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_command(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status. What is wrong goes to stderr, without a trace."""
    parsed = build_parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except ConfigErrors as failure:
        for error in failure.errors:
            print(error.message, file=sys.stderr)
        return FAILED
    except PennyError as error:
        print(error.message, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    return status
