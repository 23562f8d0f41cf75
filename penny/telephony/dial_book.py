"""The record of calls that are placed: written before each is, so that a crash places none twice.

One SQLite file that all processes of a gateway share. What counts against a tenant's caps is
counted and written in one transaction. A call whose carrier falls silent is over by the clock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penny.telephony.dialing import DialCounts
from penny.trust.sqlite_file import opened


Json = dict[str, Any]

OUTCOMES = ("completed", "busy", "no_answer", "canceled", "failed", "unknown")
"""How a call ended; one and no more. ``unknown``: a crash or the carrier's silence."""
GRACE_S = 30.0
"""Beyond its longest ring, or its longest talk, a call of which nothing is heard is over."""
DAY_S = 86_400.0
SEEN_S = 30 * DAY_S
"""For so long what a carrier told is known, should it come again."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS dials (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, key TEXT, number TEXT NOT NULL,
    caller_id TEXT NOT NULL, session_id TEXT NOT NULL, asked TEXT NOT NULL, call_sid TEXT,
    created_s REAL NOT NULL, ringing_s REAL, answered_s REAL, ended_s REAL, outcome TEXT,
    rings_until_s REAL NOT NULL, most_s REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS dials_by_key ON dials (tenant, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS dials_by_time ON dials (tenant, created_s);
CREATE TABLE IF NOT EXISTS opted_out (
    tenant TEXT NOT NULL, number TEXT NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (tenant, number)
);
CREATE TABLE IF NOT EXISTS talked (session_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS seen (name TEXT PRIMARY KEY, at_s REAL NOT NULL);
CREATE INDEX IF NOT EXISTS seen_by_time ON seen (at_s);
"""


@dataclass(frozen=True, slots=True)
class Dial:
    """One call that was placed. Moments are Unix time; ``outcome`` is None while it is under way.

    ``asked`` is what answers it: fields of the request.
    """

    id: str
    tenant: str
    number: str
    caller_id: str
    session_id: str
    asked: Json
    call_sid: str | None
    created_s: float
    ringing_s: float | None
    answered_s: float | None
    ended_s: float | None
    outcome: str | None


class DialBook:
    """Writes and reads the record. Its methods wait for the disk.

    Args:
        path: made with its folder by the first call.
        wall_clock: Unix time in seconds.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float]) -> None:
        self._path = path
        self._wall_clock = wall_clock

    def reserve(
        self,
        dial: Dial,
        key: str | None,
        day_from_s: float,
        ring_s: float,
        most_s: float,
        check: Callable[[DialCounts], None],
    ) -> tuple[Dial, bool]:
        """Write a call that is about to be placed; the record, and whether it is new.

        Args:
            key: the client's name for this wish: asked for again, it is the same call.
            check: raises where the counts allow no more; then nothing is written.
        """
        now_s = self._wall_clock()
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("BEGIN IMMEDIATE")
            if key is not None:
                query = "SELECT * FROM dials WHERE tenant = ? AND key = ?"
                row = db.execute(query, (dial.tenant, key)).fetchone()
                if row is not None:
                    return _read(row), False
            check(_count(db, dial.tenant, dial.number, now_s, day_from_s))
            db.execute(
                "INSERT INTO dials (id, tenant, key, number, caller_id, session_id, asked, "
                "created_s, rings_until_s, most_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(dial.id, dial.tenant, key, dial.number, dial.caller_id, dial.session_id),
                    *(json.dumps(dial.asked), now_s, now_s + ring_s + GRACE_S, most_s + GRACE_S),
                ),
            )
            return _read(
                db.execute("SELECT * FROM dials WHERE id = ?", (dial.id,)).fetchone()
            ), True

    def find(self, dial_id: str, tenant: str | None = None) -> Dial | None:
        """The record; None where there is none, or it is another tenant's."""
        with opened(self._path, _SCHEMA, write=True) as db:
            row = db.execute("SELECT * FROM dials WHERE id = ?", (dial_id,)).fetchone()
        dial = None if row is None else _read(row)
        return None if dial is None or tenant not in (None, dial.tenant) else dial

    def of_key(self, tenant: str, key: str) -> Dial | None:
        """The record of the wish that a client named so."""
        with opened(self._path, _SCHEMA, write=True) as db:
            query = "SELECT * FROM dials WHERE tenant = ? AND key = ?"
            row = db.execute(query, (tenant, key)).fetchone()
        return None if row is None else _read(row)

    def of_session(self, session_id: str) -> Dial | None:
        """The record of the call that has this session."""
        with opened(self._path, _SCHEMA, write=True) as db:
            query = "SELECT * FROM dials WHERE session_id = ?"
            row = db.execute(query, (session_id,)).fetchone()
        return None if row is None else _read(row)

    def note(self, dial_id: str, call_sid: str | None, moment: str = "") -> None:
        """The carrier has it (``call_sid``); ``ringing`` or ``answered`` now, once."""
        with opened(self._path, _SCHEMA, write=True) as db:
            query = "UPDATE dials SET call_sid = COALESCE(?, call_sid) WHERE id = ?"
            db.execute(query, (call_sid, dial_id))
            if moment in ("ringing", "answered"):
                column = f"{moment}_s"
                db.execute(
                    f"UPDATE dials SET {column} = ? WHERE id = ? AND {column} IS NULL",
                    (self._wall_clock(), dial_id),
                )

    def end(self, dial_id: str, outcome: str) -> bool:
        """Write how it ended; False where that is known already."""
        with opened(self._path, _SCHEMA, write=True) as db:
            done = db.execute(
                "UPDATE dials SET outcome = ?, ended_s = ? WHERE id = ? AND outcome IS NULL",
                (outcome, self._wall_clock(), dial_id),
            )
            return done.rowcount == 1

    def note_talk(self, session_id: str) -> None:
        """Its session begins, and is kept as every other is."""
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("INSERT OR IGNORE INTO talked VALUES (?)", (session_id,))

    def has_talked(self, session_id: str) -> bool:
        """Whether its session has begun."""
        with opened(self._path, _SCHEMA, write=True) as db:
            query = "SELECT 1 FROM talked WHERE session_id = ?"
            return db.execute(query, (session_id,)).fetchone() is not None

    def opt_out(self, tenant: str, number: str) -> None:
        """This tenant never calls this number again."""
        with opened(self._path, _SCHEMA, write=True) as db:
            values = (tenant, number, self._wall_clock())
            db.execute("INSERT OR IGNORE INTO opted_out VALUES (?, ?, ?)", values)

    def opted_out(self, tenant: str) -> frozenset[str]:
        with opened(self._path, _SCHEMA, write=True) as db:
            rows = db.execute("SELECT number FROM opted_out WHERE tenant = ?", (tenant,))
            return frozenset(row["number"] for row in rows)

    def take_once(self, name: str) -> bool:
        """Whether what a carrier tells under this name comes for the first time, to any process."""
        now_s = self._wall_clock()
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("DELETE FROM seen WHERE at_s < ?", (now_s - SEEN_S,))
            done = db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (name, now_s))
            return done.rowcount == 1

    def forget(self, name: str) -> None:
        """It may come again: what was to be done with it failed."""
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("DELETE FROM seen WHERE name = ?", (name,))

    def expire(self) -> list[Dial]:
        """End what is over by the clock, as ``unknown``; each is told to one caller, once."""
        now_s = self._wall_clock()
        with opened(self._path, _SCHEMA, write=True) as db:
            ended = db.execute(
                "UPDATE dials SET outcome = 'unknown', ended_s = ? WHERE outcome IS NULL AND (CASE "
                "WHEN answered_s IS NULL THEN rings_until_s ELSE answered_s + most_s END) < ? "
                "RETURNING *",
                (now_s, now_s),
            )
            return [_read(row) for row in ended.fetchall()]


def _count(
    db: sqlite3.Connection, tenant: str, number: str, now_s: float, day_from_s: float
) -> DialCounts:
    query = (
        "SELECT SUM(outcome IS NULL), SUM(created_s > ?), SUM(created_s >= ?), "
        "SUM(created_s >= ? AND number = ?) FROM dials WHERE tenant = ? AND created_s > ?"
    )
    since_s = min(day_from_s, now_s - DAY_S)
    about = (now_s - 60, day_from_s, day_from_s, number, tenant, since_s)
    return DialCounts(*(value or 0 for value in db.execute(query, about).fetchone()))


def _read(row: sqlite3.Row) -> Dial:
    names = Dial.__dataclass_fields__
    return Dial(**{name: row[name] for name in names} | {"asked": json.loads(row["asked"])})
