"""The journal: one append-only file per session that tells all the brain did, and why.

Each line is a JSON object with ``kind``, ``at_s`` (seconds since the session began) and the
kind's own fields. It holds what was said, so it is a record, not a log: mode 0600, off by one
key, and never shown in logs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from penny.errors import PennyError
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]

WAITING = 2_000
"""Entries that may wait for the disk; past that the newest are lost and counted."""
CALM_S = 5.0


@dataclass(slots=True)
class JournalHealth:
    """What the journals of all sessions share: whether the disk takes them, and what it did not.

    An outage is logged when it begins and when it is over, whichever journal notices. It is over
    when nothing was lost for ``CALM_S``: on a full disk a short entry may still find room.
    """

    reason: str = ""
    """Why entries are being lost; '' while they are written."""
    entries_lost: int = 0
    _lost_s: float = 0.0

    def lost(self, entries: int, reason: str, path: Path, now_s: float) -> None:
        self.entries_lost += entries
        self._lost_s = now_s
        if not self.reason:
            log.error("journal_not_written", path=str(path), reason=reason)
        self.reason = reason

    def written(self, now_s: float) -> None:
        if self.reason and now_s - self._lost_s >= CALM_S:
            self.reason = ""
            log.info("journal_written_again", entries_lost=self.entries_lost)


class Journal:
    """Writes from a task; ``write`` never waits for the disk.

    What the disk does not take is lost and counted, and the next entry is tried again: a journal
    with a gap stays a journal, and a call never ends for one.

    Args:
        path: the file; None writes nothing.
        clock: seconds; the first entry is at 0.
    """

    def __init__(
        self, path: Path | None, clock: Callable[[], float], health: JournalHealth | None = None
    ) -> None:
        self.health = health or JournalHealth()
        self._path = path
        self._clock = clock
        self._started_s = clock()
        self._waiting: list[bytes] = []
        self._writing: asyncio.Task[None] | None = None

    def write(self, kind: str, **fields: object) -> None:
        """Add an entry."""
        path = self._path
        if path is None:
            return
        if len(self._waiting) >= WAITING:
            self.health.lost(1, f"{WAITING} entries wait for the disk", path, self._clock())
            return
        at_s = round(self._clock() - self._started_s, 4)
        self._waiting.append(dump_json({"kind": kind, "at_s": at_s, **fields}) + b"\n")
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_out(path), name=f"journal {path.stem}")

    async def aclose(self) -> None:
        """Wait until what waits is written."""
        while self._writing is not None:
            await self._writing

    async def _write_out(self, path: Path) -> None:
        while self._waiting:
            lines, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(_append, path, b"".join(lines))
            except OSError as error:
                reason = error.strerror or type(error).__name__
                self.health.lost(len(lines), reason, path, self._clock())
            else:
                self.health.written(self._clock())
        self._writing = None


def _append(path: Path, data: bytes) -> None:
    """All of it or nothing: half a line would spoil the journal for its readers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        before = os.fstat(file).st_size
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError:
            os.ftruncate(file, before)
            raise
    finally:
        os.close(file)


def read_journal(path: Path) -> Iterator[Json]:
    """The entries of a journal, in order. A last line cut by a crash is left out.

    Raises:
        PennyError: ``journal_unreadable``.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise PennyError(f"{path}: {error.strerror}", code="journal_unreadable") from error
    for number, line in enumerate(lines, 1):
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if number == len(lines):
                return
            raise PennyError(
                f"{path}:{number}: not JSON; a journal has one object per line",
                code="journal_unreadable",
            ) from error
        yield entry
