"""The steps that bring an older database of calls to what this version needs (Alembic)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect


def migrate(connection: Connection, revision: str = "head") -> None:
    """Apply what is missing up to ``revision``, within the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def known_revisions() -> set[str]:
    """Every step that this version knows."""
    return {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}


@cache
def tables_of_this_version() -> frozenset[str]:
    """What every step together makes, Alembic's own table apart."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection)
        names = inspect(connection).get_table_names()
    engine.dispose()
    return frozenset(names) - {"alembic_version"}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
