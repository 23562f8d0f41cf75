"""What tenants and keys have used today, in one SQLite file: a restart forgets no money.

The processes of one machine share the file, and so their days. Only scopes with a limit of the day
are kept. A file that cannot be used costs no call: the days then live in the process alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from penny.trust.sqlite_file import opened


log = structlog.get_logger()

Used = dict[str, tuple[float, float]]
"""Scope -> seconds, US dollars."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS days (
    scope TEXT, day INTEGER, seconds REAL NOT NULL, usd REAL NOT NULL, PRIMARY KEY (scope, day)
);
DELETE FROM days WHERE day < (SELECT max(day) FROM days) - 2;
"""


class DayLedger:
    """The days' use by scope. Every method may wait for the disk: call them in a thread.

    Args:
        path: made by the first ``add``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fault = ""
        """Why it is not kept; '' while it is."""

    def read(self, day: int, scopes: Sequence[str]) -> Used:
        """What these have used; nothing of those that it does not know."""
        query = "SELECT * FROM days WHERE scope = ? AND day = ?"
        return self._run(query, [(scope, day) for scope in scopes]) if self._path.exists() else {}

    def add(self, day: int, used: Mapping[str, tuple[float, float]]) -> Used:
        """Add to the day and return what it comes to."""
        query = (
            "INSERT INTO days VALUES (?, ?, ?, ?) ON CONFLICT (scope, day) DO UPDATE SET "
            "seconds = seconds + excluded.seconds, usd = usd + excluded.usd RETURNING *"
        )
        rows = [(scope, day, seconds, usd) for scope, (seconds, usd) in used.items()]
        return self._run(query, rows, write=True)

    def _run(self, query: str, rows: Sequence[tuple[object, ...]], *, write: bool = False) -> Used:
        try:
            with opened(self._path, _SCHEMA, write=write) as db:
                found = [row for each in rows for row in db.execute(query, each).fetchall()]
        except (sqlite3.Error, OSError) as error:
            if not self.fault:
                log.error("days_not_kept", reason=str(error))  # noqa: TRY400
            self.fault = f"the day's use is not written: {error}"
            return {}
        if self.fault:
            log.info("days_kept_again")
            self.fault = ""
        return {row["scope"]: (row["seconds"], row["usd"]) for row in found}
