"""People who signed in to the pages: an opaque cookie each, in a file that gateways share as they
share the file of keys.

The cookie proves who asks; what that person may do is read anew each time from the key, or from
the provider's group in penny.yaml, so that a revoked key or a changed role holds at once. Nothing
is kept of the cookie but its digest.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penny.errors import ConfigError
from penny.ids import digest_of, new_id
from penny.trust.identity import Identity
from penny.trust.sqlite_file import opened


PREFIX = "page"
PERSON = "person_"
"""What ``key_id`` begins with where a provider, not a key, says who asks."""
LIFE_S = 12 * 3600
"""A working day: then a person signs in again."""
MAX_OF_A_KEY = 100
"""Sign-ins of one key; one more ends its oldest."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS signed_in (
    digest TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    provider_group TEXT NOT NULL,
    ends_at REAL NOT NULL
);
DROP TABLE IF EXISTS sign_ins;
"""
"""``sign_ins`` is an older version's: its people sign in again."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose key a person signed in with, or which of a provider's groups they were in."""

    tenant: str
    key_id: str
    group: str = ""


class SignIns:
    """The living sign-ins. Every method may wait for the disk: call them in a thread.

    Args:
        path: made by the first ``begin``.
        wall_clock: seconds since the epoch.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float]) -> None:
        self._path = path
        self._wall_clock = wall_clock

    def begin(self, who: Identity, *, group: str = "", life_s: float = LIFE_S) -> str:
        """Return a new cookie. Raises ConfigError when it cannot be kept.

        Args:
            group: of a provider's, where that says who asks.
        """
        cookie, now_s = new_id(PREFIX), self._wall_clock()
        try:
            with opened(self._path, _SCHEMA, write=True) as db:
                db.execute("DELETE FROM signed_in WHERE ends_at <= ?", (now_s,))
                db.execute(
                    "DELETE FROM signed_in WHERE key_id = ? AND digest NOT IN (SELECT digest FROM "
                    "signed_in WHERE key_id = ? ORDER BY ends_at DESC LIMIT ?)",
                    (who.key_id, who.key_id, MAX_OF_A_KEY - 1),
                )
                db.execute(
                    "INSERT INTO signed_in VALUES (?, ?, ?, ?, ?)",
                    (digest_of(cookie), who.tenant, who.key_id, group, now_s + life_s),
                )
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{self._path} cannot be used: {error}", key="keys.file") from error
        return cookie

    def find(self, cookie: str) -> SignIn | None:
        """Whose it is; None when it is over, unknown, or the file cannot be read."""
        query = "SELECT * FROM signed_in WHERE digest = ? AND ends_at > ?"
        try:
            with opened(self._path, _SCHEMA, write=False) as db:
                row = db.execute(query, (digest_of(cookie), self._wall_clock())).fetchone()
        except (sqlite3.Error, OSError):
            return None
        return None if row is None else _sign_in(row)

    def end(self, cookie: str) -> None:
        """Raises ConfigError when the file cannot be written."""
        try:
            with opened(self._path, _SCHEMA, write=True) as db:
                db.execute("DELETE FROM signed_in WHERE digest = ?", (digest_of(cookie),))
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{self._path} cannot be used: {error}", key="keys.file") from error


def _sign_in(row: sqlite3.Row) -> SignIn:
    return SignIn(row["tenant"], row["key_id"], row["provider_group"])


def csrf_of(cookie: str) -> str:
    """The token that a page sends with all it changes: who only has the cookie sent along, as a
    foreign page does, cannot know it."""
    return digest_of(f"csrf:{cookie}")


def is_same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
