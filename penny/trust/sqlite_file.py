"""Small SQLite files that processes share: opened for each question and never kept open, so that
what another process wrote is seen at once, and a file that was replaced is the one that is read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


BUSY_TIMEOUT_S = 2.0


@contextmanager
def opened(path: Path, schema: str, *, write: bool) -> Iterator[sqlite3.Connection]:
    """One transaction; rows have names.

    Args:
        schema: statements that make the tables, run before each write.
        write: make the file with its folder where there is none, readable by its owner alone.

    Raises:
        sqlite3.Error, OSError: it cannot be used.
    """
    if write and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    address = f"{path.resolve().as_uri()}?mode={'rw' if write else 'ro'}"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as db:
        db.row_factory = sqlite3.Row
        if write:
            db.executescript(schema)
        with db:
            yield db
