"""Exclusion lists of the public (Lista Robinson, REPEP …): numbers that no commercial call reaches.

They are kept hashed, each with the day of its making; one that is older than 30 days says nothing
any more, and no commercial call is placed by it. One SQLite file that all processes share.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

from penny.telephony.dialing import DialRefused
from penny.trust.sqlite_file import opened


EXCLUSIONS = "exclusions.sqlite"
"""In ``telephony.folder``."""
FRESH_DAYS = 30
_SCHEMA = """
CREATE TABLE IF NOT EXISTS lists (name TEXT PRIMARY KEY, dated TEXT NOT NULL, salt BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS excluded (
    list TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (list, digest)
) WITHOUT ROWID;
"""


class ExclusionLists:
    """The lists that were imported. Its methods wait for the disk.

    Args:
        path: made with its folder by the first import.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def replace(self, name: str, numbers: Iterable[str], dated: date) -> int:
        """Keep these numbers (``+`` and digits) as the list's; how many they are."""
        salt = secrets.token_bytes(16)
        digests = {_digest(salt, number) for number in numbers}
        with opened(self._path, _SCHEMA, write=True) as db:
            db.execute("DELETE FROM excluded WHERE list = ?", (name,))
            db.executemany("INSERT INTO excluded VALUES (?, ?)", ((name, each) for each in digests))
            row = (name, dated.isoformat(), salt)
            db.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?)", row)
        return len(digests)

    def check(self, names: Sequence[str], number: str, today: date) -> None:
        """Of a commercial call. Raises DialRefused: ``exclusion_list_missing`` (none is named, or
        one was not imported), ``exclusion_list_old``, ``excluded``."""
        if not names:
            raise _refuse("exclusion_list_missing", "needs telephony.dialing.<tenant>.exclusions")
        with opened(self._path, _SCHEMA, write=True) as db:
            for name in names:
                row = db.execute("SELECT * FROM lists WHERE name = ?", (name,)).fetchone()
                if row is None:
                    what = f"needs the list '{name}': import it by penny dial --exclusions"
                    raise _refuse("exclusion_list_missing", what)
                if not timedelta() <= today - date.fromisoformat(row["dated"]) <= _FRESH:
                    what = (
                        f"needs a list '{name}' of the last {FRESH_DAYS} days, not {row['dated']}"
                    )
                    raise _refuse("exclusion_list_old", what)
                query = "SELECT 1 FROM excluded WHERE list = ? AND digest = ?"
                found = db.execute(query, (name, _digest(row["salt"], number))).fetchone()
                if found is not None:
                    raise _refuse("excluded", f"does not reach this number: it is on '{name}'")


_FRESH = timedelta(days=FRESH_DAYS)


def _digest(salt: bytes, number: str) -> bytes:
    return hmac.digest(salt, number.encode(), hashlib.sha256)[:16]


def _refuse(code: str, what: str) -> DialRefused:
    field = "to" if code == "excluded" else None
    return DialRefused(f"a commercial call {what}", code=code, field=field)
