"""Calls whose end is still to be told: offered by a carrier, or over and not yet in the store.

A row is written before what it speaks of is done, so that a killed process leaves it, and is
removed once the call's record is there. All processes of a gateway share the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penny.trust.sqlite_file import opened


Json = dict[str, Any]

LEASE_S = 60.0
"""Who was given a row has it for so long alone; then it is looked at again."""
AT_ONCE = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS owed (
    session_id TEXT PRIMARY KEY, call_sid TEXT NOT NULL, call TEXT NOT NULL, at_s REAL NOT NULL,
    next_s REAL NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS owed_by_next ON owed (next_s);
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """A call that has a row.

    Args:
        call: what its record begins with.
        at_s: Unix time of the row.
        reason: how it ended, where that is known; '' while its carrier is to be asked.
    """

    session_id: str
    call_sid: str
    call: Json
    at_s: float
    reason: str


class OwedCalls:
    """The rows of a gateway. Its methods wait for the disk; each raises sqlite3.Error and OSError.

    Args:
        path: made with its folder by the first row.
        wall_clock: Unix time in seconds.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float]) -> None:
        self._path = path
        self._wall_clock = wall_clock

    def owe(self, call: Json, wait_s: float, reason: str = "", call_sid: str = "") -> None:
        """Write a row, which is looked at in ``wait_s``; one that is there is changed.

        Args:
            call: with its ``session_id``.
        """
        now_s = self._wall_clock()
        row = (call["session_id"], call_sid, json.dumps(call), now_s, now_s + wait_s, reason)
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute(
                "INSERT INTO owed VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (session_id) DO UPDATE "
                "SET next_s = excluded.next_s, reason = excluded.reason",
                row,
            )

    def due(self) -> list[Owed]:
        """The rows to be looked at now, the oldest first, for this process alone."""
        if not self._path.exists():
            return []
        now_s = self._wall_clock()
        with opened(self._path, _SCHEMA, write=True) as db:
            rows = db.execute(
                "UPDATE owed SET next_s = ? WHERE session_id IN (SELECT session_id FROM owed "
                "WHERE next_s <= ? ORDER BY next_s LIMIT ?) "
                "RETURNING session_id, call_sid, call, at_s, reason",
                (now_s + LEASE_S, now_s, AT_ONCE),
            ).fetchall()
        found = [Owed(**{**dict(row), "call": json.loads(row["call"])}) for row in rows]
        return sorted(found, key=lambda each: each.at_s)

    def settle(self, session_id: str) -> None:
        """Remove a row: the call's record is there."""
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("DELETE FROM owed WHERE session_id = ?", (session_id,))
