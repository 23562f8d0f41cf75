"""The record of calls that are placed: written before each is, so that a crash places none twice.

One SQLite file that all processes of a gateway share. What counts against a tenant's caps is
counted and written in one transaction. A call whose carrier falls silent is over by the clock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penny.telephony.dialing import DialCounts
from penny.telephony.number_health import SHORT_S, NumberHealth
from penny.trust.sqlite_file import opened


Json = dict[str, Any]

OUTCOMES = ("completed", "busy", "no_answer", "canceled", "failed", "denied", "unknown")
"""How a call ended; one and no more. ``denied``: a rule forbade it when it was to be placed.
``unknown``: a crash or the carrier's silence."""
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
CREATE TABLE IF NOT EXISTS attempts (
    dial_id TEXT PRIMARY KEY, series TEXT NOT NULL, attempt INTEGER NOT NULL,
    attempts INTEGER NOT NULL, due_s REAL, placed_s REAL, answered_by TEXT
);
CREATE INDEX IF NOT EXISTS attempts_due ON attempts (due_s) WHERE placed_s IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS dials_by_key ON dials (tenant, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS dials_by_time ON dials (tenant, created_s);
CREATE TABLE IF NOT EXISTS opted_out (
    tenant TEXT NOT NULL, number TEXT NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (tenant, number)
);
CREATE TABLE IF NOT EXISTS talked (session_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS seen (name TEXT PRIMARY KEY, at_s REAL NOT NULL);
CREATE INDEX IF NOT EXISTS seen_by_time ON seen (at_s);
"""
_ALL = (
    "SELECT dials.*, COALESCE(series, id) AS series, COALESCE(attempt, 1) AS attempt, "
    "COALESCE(attempts, 1) AS attempts, due_s, answered_by, "
    "CASE WHEN dial_id IS NULL THEN created_s ELSE placed_s END AS placed_s "
    "FROM dials LEFT JOIN attempts ON dial_id = id"
)


@dataclass(frozen=True, slots=True)
class Dial:
    """One attempt to call a number. Moments are Unix time; ``outcome`` is None until it is over.

    ``asked`` is what answers it: fields of the request. Attempts at the same wish are a
    ``series``, by the id of the first; ``placed_s`` is None while it waits for ``due_s``.
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
    series: str = ""
    attempt: int = 1
    attempts: int = 1
    due_s: float | None = None
    placed_s: float | None = None
    answered_by: str | None = None


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
        with self._writing() as db:
            if key is not None and (
                known := _first(db, "tenant = ? AND key = ?", dial.tenant, key)
            ):
                return known, False
            _insert(db, dial, key, self._wall_clock(), None)
            self._claim(db, dial, day_from_s, ring_s, most_s, check)
            return _known(db, dial.id), True

    def schedule(self, dial: Dial, key: str | None) -> tuple[Dial, bool]:
        """Write a call that is to be placed at ``due_s`` or later (``reserve``)."""
        with self._writing() as db:
            if key is not None and (
                known := _first(db, "tenant = ? AND key = ?", dial.tenant, key)
            ):
                return known, False
            _insert(db, dial, key, self._wall_clock(), dial.due_s)
            return _known(db, dial.id), True

    def due(self) -> list[Dial]:
        """The calls that wait and whose time has come, the oldest first; a hundred at most."""
        if not self._path.exists():
            return []
        with opened(self._path, _SCHEMA, write=True) as db:
            query = f"{_ALL} WHERE placed_s IS NULL AND outcome IS NULL AND due_s <= ? "
            rows = db.execute(query + "ORDER BY due_s LIMIT 100", (self._wall_clock(),))
            return [_read(row) for row in rows]

    def claim(
        self,
        dial: Dial,
        day_from_s: float,
        ring_s: float,
        most_s: float,
        check: Callable[[DialCounts], None],
    ) -> Dial | None:
        """Take a call that waits, to place it now; None where another process has it, or it is
        over. From here on it is never taken again, whatever becomes of who took it.

        Args:
            check: as in ``reserve``.
        """
        with self._writing() as db:
            known = _first(db, "id = ?", dial.id)
            if known is None or known.placed_s is not None or known.outcome is not None:
                return None
            self._claim(db, known, day_from_s, ring_s, most_s, check)
            return _known(db, dial.id)

    def _claim(
        self,
        db: sqlite3.Connection,
        dial: Dial,
        day_from_s: float,
        ring_s: float,
        most_s: float,
        check: Callable[[DialCounts], None],
    ) -> None:
        now_s = self._wall_clock()
        check(_count(db, dial.tenant, dial.number, now_s, day_from_s))
        db.execute("UPDATE attempts SET placed_s = ? WHERE dial_id = ?", (now_s, dial.id))
        times = (now_s + ring_s + GRACE_S, most_s + GRACE_S, dial.id)
        db.execute("UPDATE dials SET rings_until_s = ?, most_s = ? WHERE id = ?", times)

    def defer(self, dial_id: str, due_s: float) -> None:
        """Let a call that waits wait until then."""
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("UPDATE attempts SET due_s = ? WHERE dial_id = ?", (due_s, dial_id))

    def cancel(self, series: str) -> bool:
        """Place no further call of this series; False where none waits."""
        with opened(self._path, _SCHEMA, write=True) as db:
            done = db.execute(
                "UPDATE dials SET outcome = 'canceled', ended_s = ? WHERE outcome IS NULL AND id "
                "IN (SELECT dial_id FROM attempts WHERE series = ? AND placed_s IS NULL)",
                (self._wall_clock(), series),
            )
            return done.rowcount > 0

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("BEGIN IMMEDIATE")
            yield db

    def find(self, dial_id: str, tenant: str | None = None) -> Dial | None:
        """The record; None where there is none, or it is another tenant's."""
        dial = self._find("id = ?", dial_id)
        return None if dial is None or tenant not in (None, dial.tenant) else dial

    def of_key(self, tenant: str, key: str) -> Dial | None:
        """The record of the wish that a client named so."""
        return self._find("tenant = ? AND key = ?", tenant, key)

    def of_session(self, session_id: str) -> Dial | None:
        """The record of the call that has this session."""
        return self._find("session_id = ?", session_id)

    def of_sid(self, call_sid: str) -> Dial | None:
        """The record of the call that the carrier names so."""
        return self._find("call_sid = ?", call_sid)

    def _find(self, where: str, *values: str) -> Dial | None:
        with opened(self._path, _SCHEMA, write=True) as db:
            return _first(db, where, *values)

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

    def end(self, dial_id: str, outcome: str, again: Dial | None = None) -> bool:
        """Write how it ended, and the next attempt; False where that is known already."""
        with self._writing() as db:
            now_s = self._wall_clock()
            done = db.execute(
                "UPDATE dials SET outcome = ?, ended_s = ? WHERE id = ? AND outcome IS NULL",
                (outcome, now_s, dial_id),
            )
            if done.rowcount == 1 and again is not None:
                _insert(db, again, None, now_s, again.due_s)
            return done.rowcount == 1

    def note_answerer(self, session_id: str, kind: str) -> None:
        """Who answered it (``penny.telephony.answerer``)."""
        with opened(self._path, _SCHEMA, write=True) as db:
            query = "UPDATE attempts SET answered_by = ? WHERE dial_id = "
            find = "(SELECT id FROM dials WHERE session_id = ?)"
            db.execute(query + find, (kind, session_id))

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

    def overdue(self) -> list[tuple[Dial, float]]:
        """Calls that are over by the clock and have no end, and since when (Unix seconds)."""
        if not self._path.exists():
            return []
        over = "CASE WHEN answered_s IS NULL THEN rings_until_s ELSE answered_s + most_s END"
        with opened(self._path, _SCHEMA, write=True) as db:
            rows = db.execute(
                f"SELECT *, {over} AS over_s FROM ({_ALL}) WHERE outcome IS NULL "
                "AND placed_s IS NOT NULL AND over_s < ?",
                (self._wall_clock(),),
            )
            return [(_read(row), row["over_s"]) for row in rows]

    def health(self, since_s: float) -> list[NumberHealth]:
        """How the calls placed since then ended, for each caller id. What a carrier failed or a
        person took back says nothing of the number."""
        if not self._path.exists():
            return []
        short = f"answered_s IS NOT NULL AND ended_s - answered_s < {SHORT_S}"
        query = (
            "SELECT tenant, caller_id, COUNT(*), SUM(answered_s IS NOT NULL), "
            f"SUM({short}) FROM ({_ALL}) WHERE placed_s >= ? AND (answered_s IS NOT NULL OR "
            "outcome IN ('busy', 'no_answer')) AND outcome IS NOT NULL GROUP BY tenant, caller_id"
        )
        with opened(self._path, _SCHEMA, write=True) as db:
            return [NumberHealth(*row) for row in db.execute(query, (since_s,))]


def _insert(
    db: sqlite3.Connection, dial: Dial, key: str | None, now_s: float, due_s: float | None
) -> None:
    db.execute(
        "INSERT INTO dials (id, tenant, key, number, caller_id, session_id, asked, created_s, "
        "rings_until_s, most_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
        (
            *(dial.id, dial.tenant, key, dial.number, dial.caller_id, dial.session_id),
            *(json.dumps(dial.asked), now_s),
        ),
    )
    row = (dial.id, dial.series or dial.id, dial.attempt, dial.attempts, due_s)
    db.execute(
        "INSERT INTO attempts (dial_id, series, attempt, attempts, due_s) VALUES (?, ?, ?, ?, ?)",
        row,
    )


def _count(
    db: sqlite3.Connection, tenant: str, number: str, now_s: float, day_from_s: float
) -> DialCounts:
    """Of calls that were placed; what waits counts for nothing."""
    query = (
        "SELECT SUM(outcome IS NULL), SUM(placed_s > ?), SUM(placed_s >= ?), "
        f"SUM(placed_s >= ? AND number = ?) FROM ({_ALL}) WHERE tenant = ? AND placed_s > ?"
    )
    since_s = min(day_from_s, now_s - DAY_S)
    about = (now_s - 60, day_from_s, day_from_s, number, tenant, since_s)
    return DialCounts(*(value or 0 for value in db.execute(query, about).fetchone()))


def _first(db: sqlite3.Connection, where: str, *values: str) -> Dial | None:
    row = db.execute(f"{_ALL} WHERE {where}", values).fetchone()
    return None if row is None else _read(row)


def _known(db: sqlite3.Connection, dial_id: str) -> Dial:
    dial = _first(db, "id = ?", dial_id)
    assert dial is not None
    return dial


def _read(row: sqlite3.Row) -> Dial:
    names = Dial.__dataclass_fields__
    return Dial(**{name: row[name] for name in names} | {"asked": json.loads(row["asked"])})
