"""A whole copy of the store of kept calls, taken while a gateway writes to it, and put back.

SQLite is copied by its own backup, PostgreSQL table by table within one snapshot, in the text form
of its COPY. Both hold one moment: a call that is kept meanwhile is in the copy whole or not at all.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import inspect, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from penny.calls.migrations import known_revisions, migrate, tables_of_this_version
from penny.errors import PennyError


SQLITE_FILE = "calls.sqlite"
VERSION_TABLE = "alembic_version"
_REVISION = f"SELECT version_num FROM {VERSION_TABLE}"
_WAIT_S = 30.0
_STORED = "SELECT id, {path} FROM calls WHERE sound_state = 'stored'"
_PATHS = {
    "sqlite": "json_extract(record, '$.sound.path')",
    "postgresql": "record->'sound'->>'path'",
}


class StoreCopy(BaseModel):
    """What a copy of a store holds.

    ``tables``: of PostgreSQL, each with its columns in the order of its file, referred ones first.
    ``revision``: of its tables (``penny/calls/migrations/versions``), '' where there is no store.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    revision: str = ""
    calls: int = 0
    tables: dict[str, list[str]] = {}


async def copy_store(url: str, folder: Path) -> tuple[StoreCopy, dict[str, str]]:
    """Copy the store into files of ``folder``.

    Args:
        url: as ``CallStore``'s.

    Returns:
        What was copied, and the name of each call's stored sound by the call's id.

    Raises:
        PennyError: the database cannot be read.
    """
    address = make_url(url)
    try:
        if address.drivername.startswith("postgresql"):
            return await _copy_postgres(address, folder)
        return await asyncio.to_thread(_copy_sqlite, Path(address.database or ""), folder)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise PennyError(f"the store of calls cannot be copied: {type(error).__name__}") from error


async def put_back(url: str, copy: StoreCopy, folder: Path) -> None:
    """Make the store of a copy's files; its tables are brought to this version's at its next start.

    Raises:
        PennyError: the copy is of a newer Penny or of the other kind of database, or the store has
            calls already; nothing was changed then.
    """
    address = make_url(url)
    kind = "postgresql" if address.drivername.startswith("postgresql") else "sqlite"
    if copy.revision and copy.revision not in known_revisions():
        raise PennyError(
            f"the archive's store has revision {copy.revision}, which this Penny does not know: "
            "restore it with the version that made it, or a newer one"
        )
    if copy.kind != kind:
        raise PennyError(
            f"the archive holds a store of {copy.kind} and calls.url names one of {kind}; name a "
            f"database of {copy.kind}"
        )
    try:
        if kind == "postgresql":
            await _fill_postgres(address, copy, folder)
        else:
            await asyncio.to_thread(_fill_sqlite, Path(address.database or ""), copy, folder)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise PennyError(f"the store cannot be written: {type(error).__name__}") from error


def _copy_sqlite(path: Path, folder: Path) -> tuple[StoreCopy, dict[str, str]]:
    copy = StoreCopy(kind="sqlite")
    if not path.is_file():
        return copy, {}
    address = f"{path.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as source,
        closing(sqlite3.connect(folder / SQLITE_FILE)) as target,
    ):
        source.backup(target)  # in one step: writers wait for none of it, and it is one moment
        target.execute("PRAGMA journal_mode=DELETE")
        (copy.revision,) = target.execute(_REVISION).fetchone()
        (copy.calls,) = target.execute("SELECT count(*) FROM calls").fetchone()
        sounds = target.execute(_STORED.format(path=_PATHS["sqlite"])).fetchall()
    return copy, dict(sounds)


def _fill_sqlite(path: Path, copy: StoreCopy, folder: Path) -> None:
    if path.is_file():
        with closing(sqlite3.connect(path, timeout=_WAIT_S)) as found:
            names = [name for (name,) in found.execute(_TABLES)]
            _refuse_used([each for each in names if found.execute(_ANY.format(each)).fetchone()])
    if not copy.revision:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for beside in ("-wal", "-shm"):
        path.with_name(f"{path.name}{beside}").unlink(missing_ok=True)
    whole = path.with_name(f".{path.name}.restored")
    with closing(sqlite3.connect(folder / SQLITE_FILE)) as source, closing(
        sqlite3.connect(whole)
    ) as target:  # fmt: skip
        source.backup(target)
    whole.chmod(0o600)
    whole.replace(path)


_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
    f"AND name NOT LIKE 'call_text%' AND name <> '{VERSION_TABLE}'"
)
"""FTS5 keeps rows of its own in an empty index."""
_ANY = 'SELECT 1 FROM "{}" LIMIT 1'


def _refuse_used(used: list[str]) -> None:
    if used:
        raise PennyError(
            f"the store that calls.url names is not empty ({', '.join(sorted(used))}): restore "
            "into an empty one, or move this one away first"
        )


# -- PostgreSQL -------------------------------------------------------------------------------


@asynccontextmanager
async def _connected(address: URL, **options: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(address.set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            await connection.execution_options(**options)
            async with connection.begin():
                yield connection
    finally:
        await engine.dispose()


async def _driver(connection: AsyncConnection) -> Any:
    """asyncpg's own connection, within the transaction: COPY is its alone."""
    return (await connection.get_raw_connection()).driver_connection


async def _copy_postgres(address: URL, folder: Path) -> tuple[StoreCopy, dict[str, str]]:
    copy = StoreCopy(kind="postgresql")
    async with _connected(address, isolation_level="REPEATABLE READ") as connection:
        copy.tables = await connection.run_sync(_read_tables)
        if VERSION_TABLE not in copy.tables:
            return copy, {}
        del copy.tables[VERSION_TABLE]
        copy.revision = str(await connection.scalar(text(_REVISION)))
        copy.calls = int(await connection.scalar(text("SELECT count(*) FROM calls")) or 0)
        sounds = await connection.execute(text(_STORED.format(path=_PATHS["postgresql"])))
        driver = await _driver(connection)
        for name, columns in copy.tables.items():
            with (folder / f"{name}.copy").open("wb") as file:
                await driver.copy_from_table(name, columns=columns, output=file)
        return copy, {row[0]: row[1] for row in sounds}


def _read_tables(connection: Connection) -> dict[str, list[str]]:
    """Tables with the columns that are no others' result, those first that others refer to."""
    told = inspect(connection)
    order = [name for name, _ in told.get_sorted_table_and_fkc_names() if name]
    return {
        name: [each["name"] for each in told.get_columns(name) if "computed" not in each]
        for name in order
    }


async def _fill_postgres(address: URL, copy: StoreCopy, folder: Path) -> None:
    """All of it in one transaction."""
    async with _connected(address) as connection:
        found = await connection.run_sync(_read_tables)
        ours = found.keys() & {*copy.tables, *tables_of_this_version()}
        used = [name for name in ours if await connection.scalar(text(_ANY.format(name)))]
        _refuse_used(used)
        if not copy.revision:
            return
        for name in {*ours, *(found.keys() & {VERSION_TABLE})}:  # of an empty store
            await connection.execute(text(f'DROP TABLE "{name}" CASCADE'))
        await connection.run_sync(partial(migrate, revision=copy.revision))
        made = await connection.run_sync(_read_tables)
        driver = await _driver(connection)
        for name, columns in copy.tables.items():
            if name not in made:
                continue  # of another program that shares the database
            with (folder / f"{name}.copy").open("rb") as file:
                await driver.copy_to_table(name, columns=columns, source=file)
            await _go_on_counting(connection, name, columns)


async def _go_on_counting(connection: AsyncConnection, table: str, columns: list[str]) -> None:
    """A number that the database gives goes on after the last one of the copy."""
    for column in columns:
        counter = await connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)"),
            {"table": table, "column": column},
        )
        if counter is not None:
            most = f'SELECT coalesce(max("{column}"), 0) + 1 FROM "{table}"'
            await connection.execute(text(f"SELECT setval('{counter}', ({most}), false)"))
