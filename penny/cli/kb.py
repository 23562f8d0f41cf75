"""``python -m penny kb``: the knowledge base's own commands, on what ``penny.yaml`` says of it."""

from __future__ import annotations

import argparse
import os

from kb import KbSettings
from kb.cli import add_commands
from penny.cli.configured import add_config_option, load_config


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The knowledge base adds its parser and sets ``run`` on it, as the commands here do."""
    add_commands(commands, configure=_configure, add_options=add_config_option)


def _configure(arguments: argparse.Namespace) -> tuple[KbSettings, str]:
    """Raises ConfigErrors."""
    config = load_config(arguments)
    return config.kb_settings(os.environ), config.kb.default_ref
