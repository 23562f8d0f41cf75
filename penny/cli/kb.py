"""``python -m penny kb``: hands over to the knowledge base's own commands."""

from __future__ import annotations

import argparse
from importlib import import_module
from importlib.util import find_spec


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The knowledge base adds its parser and sets ``run`` on it, as the commands here do."""
    if find_spec("kb.cli") is not None:
        import_module("kb.cli").add_commands(commands)
