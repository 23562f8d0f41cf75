"""API keys, hashed at rest in one SQLite file.

A key is 128 random bits, which can be neither guessed nor searched for: a slow hash
(bcrypt, argon2) buys time against the guessing of human passwords and would buy nothing here,
while each connection would pay for it. A keyed BLAKE2b is enough; its random pepper makes the
digests of two installations differ.

The file is opened for each question and never kept open: a key revoked from the command line is
refused by a running gateway at its next call.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penny.errors import ConfigError
from penny.ids import new_id
from penny.trust.identity import DEFAULT_TENANT
from penny.trust.rights import rights_of
from penny.trust.sqlite_file import opened


PREFIX = "penny"
KEY_ID_CHARACTERS = 12

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pepper (value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    digest TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    admin INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    role TEXT,
    rights TEXT
);
"""
_ADDED = ("role", "rights")
"""Columns that files of older versions lack; ``admin`` is what those went by."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not kept.

    ``more``: rights beside those of the role.
    """

    id: str
    name: str
    tenant: str
    role: str
    more: tuple[str, ...]
    created_at: int
    revoked_at: int | None = None

    @property
    def rights(self) -> frozenset[str]:
        return rights_of(self.role, self.more)


class KeyFile:
    """Creates, finds, lists and revokes keys.

    Args:
        path: made with its folder by the first ``create``, readable by its owner alone.
        wall_clock: seconds since the epoch.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float]) -> None:
        self._path = path
        self._wall_clock = wall_clock

    def create(
        self, tenant: str, name: str, *, role: str = "caller", more: tuple[str, ...] = ()
    ) -> tuple[str, ApiKey]:
        """Return a new key, which is told this once, and its entry."""
        value = new_id(PREFIX)
        created_at = int(self._wall_clock())
        with self._open(write=True) as db:
            digest = _digest(value, _pepper(db))
            key = ApiKey(f"key_{digest[:KEY_ID_CHARACTERS]}", name, tenant, role, more, created_at)
            db.execute(
                "INSERT INTO keys (digest, id, name, tenant, admin, created_at, role, rights) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(digest, key.id, name, tenant, int(role in ("admin", "house")), created_at),
                    *(role, " ".join(more)),
                ),
            )
        return value, key

    def find(self, value: str) -> ApiKey | None:
        """The entry of a key that was not revoked. Raises ConfigError when the file is broken."""
        if not self._path.exists():
            return None
        with self._open(write=False) as db:
            row = db.execute(
                "SELECT * FROM keys WHERE digest = ? AND revoked_at IS NULL",
                (_digest(value, _pepper(db)),),
            ).fetchone()
        return None if row is None else _key(row)

    def alive(self) -> dict[str, ApiKey]:
        """Every key that is not revoked, by id. Raises ConfigError when the file is broken, or was
        moved away since."""
        if not self._path.exists():
            raise ConfigError(f"{self._path} is not there any more; restore it", key="keys.file")
        return {key.id: key for key in self.list_keys() if key.revoked_at is None}

    def list_keys(self) -> list[ApiKey]:
        """Every key ever created, oldest first."""
        if not self._path.exists():
            return []
        with self._open(write=False) as db:
            return [_key(row) for row in db.execute("SELECT * FROM keys ORDER BY created_at, id")]

    def has_keys(self) -> bool:
        return any(key.revoked_at is None for key in self.list_keys())

    def revoke(self, key_id: str) -> ApiKey | None:
        """Refuse this key from now on; None when there is none of that id."""
        if not self._path.exists():
            return None
        with self._open(write=True) as db:
            db.execute(
                "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                (int(self._wall_clock()), key_id),
            )
            row = db.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
        return None if row is None else _key(row)

    @contextmanager
    def _open(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        try:
            with opened(self._path, _SCHEMA, write=write) as db:
                known = {row["name"] for row in db.execute("PRAGMA table_info(keys)")}
                for column in (each for each in _ADDED if write and each not in known):
                    db.execute(f"ALTER TABLE keys ADD COLUMN {column} TEXT")
                yield db
        except sqlite3.Error as error:
            raise ConfigError(
                f"{self._path} cannot be used: {error}; restore it, or take it away and create "
                "new keys",
                key="keys.file",
            ) from error


def _key(row: sqlite3.Row) -> ApiKey:
    role = row["role"] if "role" in row.keys() else None  # noqa: SIM118 - a Row is no mapping
    if role is None:  # of an older version: an operator's key opened everything
        house = "house" if row["tenant"] == DEFAULT_TENANT else "admin"
        role, more = house if row["admin"] else "caller", ""
    else:
        more = row["rights"] or ""
    return ApiKey(
        *(row["id"], row["name"], row["tenant"], role, tuple(more.split())),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def _pepper(db: sqlite3.Connection) -> bytes:
    row = db.execute("SELECT value FROM pepper").fetchone()
    if row is None:
        row = (secrets.token_bytes(32),)
        db.execute("INSERT INTO pepper VALUES (?)", row)
    return bytes(row[0])


def _digest(value: str, pepper: bytes) -> str:
    return hashlib.blake2b(value.encode(), key=pepper, digest_size=32).hexdigest()
