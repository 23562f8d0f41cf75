"""``python -m penny kb``: hands over to the knowledge base's own commands."""

from __future__ import annotations

import argparse

from kb.cli import add_commands


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add_commands(commands)
