"""What tenants and keys have used today, in one SQLite file: a restart forgets no money.

The processes of one machine share the file, and so their days. Only scopes with a limit of the day
are kept. A file that cannot be used costs no call: the days then live in the process alone.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog


log = structlog.get_logger()

Used = dict[str, tuple[float, float]]
"""Scope -> seconds, US dollars."""
BUSY_TIMEOUT_S = 2.0
KEPT_DAYS = 2


class DayLedger:
    """The days' use by scope. Every method may wait for the disk: call them in a thread.

    Args:
        path: made with its folder by the first ``add``, readable by its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self.fault = ""
        """Why it is not kept; '' while it is."""

    def read(self, day: int, scopes: Sequence[str]) -> Used:
        """What these have used; nothing of those that it does not know."""
        if self._db is None and not self._path.exists():
            return {}
        marks = ", ".join("?" * len(scopes))
        query = f"SELECT scope, seconds, usd FROM days WHERE day = ? AND scope IN ({marks})"
        return {scope: (s, usd) for scope, s, usd in self._run(query, [(day, *scopes)])}

    def add(self, day: int, used: Mapping[str, tuple[float, float]]) -> Used:
        """Add to the day and return what it comes to."""
        query = (
            "INSERT INTO days VALUES (?, ?, ?, ?) ON CONFLICT (scope, day) DO UPDATE SET "
            "seconds = seconds + excluded.seconds, usd = usd + excluded.usd "
            "RETURNING scope, seconds, usd"
        )
        rows = [(scope, day, seconds, usd) for scope, (seconds, usd) in used.items()]
        return {scope: (s, usd) for scope, s, usd in self._run(query, rows)}

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _run(
        self, query: str, rows: Sequence[tuple[object, ...]]
    ) -> list[tuple[str, float, float]]:
        with self._lock:
            try:
                db = self._db = self._db or self._open()
                with db:
                    found = [row for each in rows for row in db.execute(query, each).fetchall()]
            except (sqlite3.Error, OSError) as error:
                if not self.fault:
                    log.error("days_not_kept", reason=str(error))  # noqa: TRY400
                self.fault = f"the day's use is not written: {error}"
                return []
        if self.fault:
            log.info("days_kept_again")
            self.fault = ""
        return found

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS days (scope TEXT, day INTEGER, seconds REAL NOT NULL, "
            "usd REAL NOT NULL, PRIMARY KEY (scope, day))"
        )
        newest = db.execute("SELECT max(day) FROM days").fetchone()[0] or 0
        db.execute("DELETE FROM days WHERE day < ?", (newest - KEPT_DAYS,))
        db.commit()
        return db
