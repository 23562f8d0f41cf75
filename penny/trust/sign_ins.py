"""People who signed in to the pages: an opaque cookie each, in a file that gateways share as they
share the file of keys.

The cookie proves who asks; what that person may do is read anew from the key each time, so that
a revoked key or a changed role holds at once. Nothing is kept of the cookie but its digest.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penny.errors import ConfigError
from penny.ids import new_id
from penny.trust.identity import Identity
from penny.trust.sqlite_file import opened


PREFIX = "page"
LIFE_S = 12 * 3600
"""A working day: then a person signs in again."""
MAX_OF_A_KEY = 100
"""Sign-ins of one key; one more ends its oldest."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sign_ins (
    digest TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    ends_at REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose key a person signed in with."""

    tenant: str
    key_id: str


class SignIns:
    """The living sign-ins. Every method may wait for the disk: call them in a thread.

    Args:
        path: made by the first ``begin``.
        wall_clock: seconds since the epoch.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float]) -> None:
        self._path = path
        self._wall_clock = wall_clock

    def begin(self, who: Identity) -> str:
        """Return a new cookie. Raises ConfigError when it cannot be kept."""
        cookie, now_s = new_id(PREFIX), self._wall_clock()
        try:
            with opened(self._path, _SCHEMA, write=True) as db:
                db.execute("DELETE FROM sign_ins WHERE ends_at <= ?", (now_s,))
                db.execute(
                    "DELETE FROM sign_ins WHERE key_id = ? AND digest NOT IN (SELECT digest FROM "
                    "sign_ins WHERE key_id = ? ORDER BY ends_at DESC LIMIT ?)",
                    (who.key_id, who.key_id, MAX_OF_A_KEY - 1),
                )
                db.execute(
                    "INSERT INTO sign_ins VALUES (?, ?, ?, ?)",
                    (_digest(cookie), who.tenant, who.key_id, now_s + LIFE_S),
                )
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{self._path} cannot be used: {error}", key="keys.file") from error
        return cookie

    def find(self, cookie: str) -> SignIn | None:
        """Whose it is; None when it is over, unknown, or the file cannot be read."""
        query = "SELECT tenant, key_id FROM sign_ins WHERE digest = ? AND ends_at > ?"
        try:
            with opened(self._path, _SCHEMA, write=False) as db:
                row = db.execute(query, (_digest(cookie), self._wall_clock())).fetchone()
        except (sqlite3.Error, OSError):
            return None
        return None if row is None else SignIn(row["tenant"], row["key_id"])

    def end(self, cookie: str) -> None:
        """Raises ConfigError when the file cannot be written."""
        try:
            with opened(self._path, _SCHEMA, write=True) as db:
                db.execute("DELETE FROM sign_ins WHERE digest = ?", (_digest(cookie),))
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{self._path} cannot be used: {error}", key="keys.file") from error


def csrf_of(cookie: str) -> str:
    """The token that a page sends with all it changes: who only has the cookie sent along, as a
    foreign page does, cannot know it."""
    return _digest(f"csrf:{cookie}")


def is_same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
