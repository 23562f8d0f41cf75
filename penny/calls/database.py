"""The database of kept calls: opened, brought to this version's tables, used by transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from penny.calls.migrations import migrate
from penny.errors import PennyError


MIGRATING = 7_365_669
"""The advisory lock under which one gateway changes tables; any number of our own."""


class StoreUnavailable(PennyError):
    """The database does not answer, or refuses; what was to be written waits in the spool."""

    code = "call_store_unavailable"
    retryable = True


class Database:
    """SQLite in a file, or a PostgreSQL server.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://…``.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open_engine(url)
        self._is_ready = False
        self._opening = asyncio.Lock()

    @property
    def is_postgres(self) -> bool:
        """Whether it is not SQLite."""
        return self._engine.dialect.name == "postgresql"

    async def start(self) -> None:
        """Bring the tables to what this version needs, once; the first use does it by itself.

        Raises:
            StoreUnavailable: the database is away; the next use tries again.
        """
        async with self._opening:
            if not self._is_ready:
                async with self._alone(), _Transaction(self._engine) as connection:
                    if self.is_postgres:
                        await connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
                    else:  # by itself its driver would commit each change of a table at once
                        await connection.exec_driver_sql("BEGIN IMMEDIATE")
                    await connection.run_sync(migrate)
                self._is_ready = True

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Of several processes that share an SQLite file, one changes its tables at a time."""
        if self.is_postgres or not self._engine.url.database:
            yield
            return
        lock = FileLock(f"{self._engine.url.database}.lock", thread_local=False)
        await asyncio.to_thread(lock.acquire, timeout=30)
        try:
            yield
        finally:
            lock.release()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. Raises StoreUnavailable."""
        if not self._is_ready:
            await self.start()
        async with _Transaction(self._engine) as connection:
            yield connection

    async def forget(self) -> None:
        """Take what was deleted out of SQLite's index of words and its log too.

        PostgreSQL does so by itself, later.

        Raises:
            StoreUnavailable.
        """
        if not self.is_postgres:
            async with self.begin() as connection:
                await connection.exec_driver_sql(
                    "INSERT INTO call_text (call_text) VALUES ('optimize')"
                )
            try:
                async with self._engine.connect() as connection:
                    await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            except SQLAlchemyError as error:
                raise _unavailable(error) from error


class _Transaction:
    """``engine.begin()`` whose faults are StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._context = engine.begin()

    async def __aenter__(self) -> AsyncConnection:
        try:
            return await self._context.__aenter__()
        except (SQLAlchemyError, OSError) as error:
            raise _unavailable(error) from error

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            await self._context.__aexit__(kind, error, traceback)
        except (SQLAlchemyError, OSError) as fault:
            raise _unavailable(fault) from fault
        if isinstance(error, SQLAlchemyError | OSError):
            raise _unavailable(error) from error


def _unavailable(error: BaseException) -> StoreUnavailable:
    # Its text may hold what was said; its kind does not.
    cause = getattr(error, "orig", None) or error
    return StoreUnavailable(f"the database of calls does not take it: {type(cause).__name__}")


def _open_engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    if parsed.drivername.startswith("postgresql"):
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"), pool_pre_ping=True, pool_size=5
        )
    if parsed.database:
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"))

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "busy_timeout=5000",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
