"""The command line: one file per command beside this one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from penny import __version__
from penny.errors import ConfigErrors, PennyError


FAILED = 1


_COMMANDS = (
    *("serve", "demo", "talk", "check", "worker", "kb", "keys", "calls", "sessions", "models"),
    *("voices", "webhooks", "dial", "analyse", "experiments", "report"),
    *("backup", "restore", "support"),
)


def build_parser(named: str = "") -> argparse.ArgumentParser:
    """The parser of the command ``named``, or of all: what others import takes two seconds."""
    parser = argparse.ArgumentParser(
        prog="python -m penny", description="A realtime voice gateway: private or fast."
    )
    parser.add_argument("--version", action="version", version=f"penny {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (named,) if named in _COMMANDS else _COMMANDS:
        import_module(f"penny.cli.{command}").add_command(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status. What is wrong goes to stderr, without a trace."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = build_parser(*given[:1]).parse_args(given)
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
