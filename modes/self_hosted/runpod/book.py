"""Job ids of the leases that this gateway holds, on disk: what a crash leaves can be cancelled."""

from __future__ import annotations

import json
from pathlib import Path

import structlog

from penny.aio.files import write_whole


log = structlog.get_logger()


class LeaseBook:
    """A file of job ids. Raises nothing: a book that cannot be kept is told in the log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._job_ids: set[str] = set()

    def orphans(self) -> list[str]:
        """The jobs that an earlier gateway wrote down and never crossed out."""
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return sorted({str(job_id) for job_id in stored} - self._job_ids)
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            log.warning("lease_book_unreadable", path=str(self._path), error=type(error).__name__)
            return []

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
