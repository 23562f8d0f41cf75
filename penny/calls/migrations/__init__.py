"""The steps that bring an older database of calls to what this version needs (Alembic).

A step adds and never takes away or renames what the version before it uses, and a new column that
may not be null has a server's default: while gateways of two versions run beside each other, and
after a downgrade, the older one reads and writes the newer one's tables.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect


log = structlog.get_logger()


def migrate(connection: Connection, revision: str = "head") -> None:
    """Apply what is missing up to ``revision``, within the caller's transaction.

    Tables of a newer Penny stay as they are.
    """
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known_revisions():
        log.warning("store_of_newer_version", revision=found)
        return
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
