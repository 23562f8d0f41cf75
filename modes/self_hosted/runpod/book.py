"""Job ids of the leases that this gateway holds, on disk: what a crash leaves can be cancelled.

Gateways on one machine may share the folder (one takes over from another): each keeps a book of its
own, locked for as long as its process lives. An unlocked book was left by a crash.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from penny.aio.files import write_whole


log = structlog.get_logger()

MAX_BOOKS = 16
"""Gateways of one folder at once; one more shares the last book."""


class LeaseBook:
    """A file of job ids. Raises nothing: a book that cannot be kept is told in the log.

    Acquired and released: ``open`` locks a book, ``close`` lets it go.
    """

    def __init__(self, path: Path) -> None:
        self._first = path
        self._path = path
        self._lock: FileLock | None = None
        self._job_ids: set[str] = set()

    def open(self) -> list[str]:
        """Take a book that no living gateway keeps; the jobs that dead ones never crossed out."""
        orphans: set[str] = set()
        for number in range(1, MAX_BOOKS + 1):
            path = self._first
            if number > 1:
                path = path.with_stem(f"{path.stem}-{number}")
                if self._lock is not None and not path.exists():
                    continue
            lock = _lock(path)
            if lock is None:
                continue
            orphans |= _read(path)
            if self._lock is None:
                self._lock, self._path = lock, path
            else:
                with suppress(OSError):
                    path.unlink()
                lock.release()
        # Until each of them is cancelled it stays written down.
        self._job_ids |= orphans
        self._write()
        return sorted(orphans)

    def close(self) -> None:
        """Idempotent."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def enter(self, job_id: str) -> None:
        self._job_ids.add(job_id)
        self._write()

    def cross_out(self, job_id: str) -> None:
        self._job_ids.discard(job_id)
        self._write()

    def _write(self) -> None:
        try:
            write_whole(self._path, json.dumps(sorted(self._job_ids)))
        except OSError as error:
            log.warning("lease_book_not_kept", path=str(self._path), error=type(error).__name__)


def _read(path: Path) -> set[str]:
    try:
        return {str(job_id) for job_id in json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as error:
        log.warning("lease_book_unreadable", path=str(path), error=type(error).__name__)
        return set()


def _lock(path: Path) -> FileLock | None:
    """The lock of a book, held; None when another process has it."""
    lock = FileLock(path.with_suffix(".lock"), thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        log.warning("lease_book_not_kept", path=str(path), error=type(error).__name__)
        return None
    return lock
