"""``python -m penny kb``: the knowledge base's own commands, on what ``penny.yaml`` says of it."""

from __future__ import annotations

import argparse
import os

from kb import KbSettings
from kb.cli import add_commands
from kb.enrich import ChatModel
from penny.cli.configured import add_config_option, load_config


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The knowledge base adds its parser and sets ``run`` on it, as the commands here do."""
    add_commands(
        commands, configure=_configure, find_model=_find_model, add_options=add_config_option
    )


def _configure(arguments: argparse.Namespace) -> tuple[KbSettings, str]:
    """Raises ConfigErrors."""
    config = load_config(arguments)
    return config.kb_settings(os.environ), config.kb.default_ref


def _find_model(arguments: argparse.Namespace) -> ChatModel:
    """The private language model's server of the file. Raises ConfigErrors."""
    engine = load_config(arguments).worker_settings().engines.openai_compatible
    key = os.environ.get(engine.api_key_variable, "") if engine.api_key_variable else ""
    return ChatModel(arguments.url or engine.base_url, arguments.model or engine.model, key)
