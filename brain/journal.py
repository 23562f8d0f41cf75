"""The journal: one append-only file per session that tells all the brain did, and why.

Each line is a JSON object with ``kind``, ``at_s`` (seconds since the session began) and the
kind's own fields. It holds what was said, so it is a record, not a log: mode 0600, off by one
key, and never shown in logs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import structlog

from penny.aio.channel import Channel, ChannelClosed
from penny.errors import PennyError


log = structlog.get_logger()

Json = dict[str, Any]

WAITING = 2_000
"""Entries that may wait for the disk; past that the newest are lost and counted."""


class Journal:
    """Writes from a task of its own; ``write`` never waits for the disk.

    Args:
        path: the file; None writes nothing.
        clock: seconds; the first entry is at 0.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._started_s = clock()
        self._entries: Channel[bytes] = Channel(WAITING)
        self.lost = 0
        self._task = (
            asyncio.create_task(self._run(path), name=f"journal {path.stem}") if path else None
        )

    def write(self, kind: str, **fields: object) -> None:
        """Add an entry."""
        if self._task is None:
            return
        at_s = round(self._clock() - self._started_s, 4)
        line = orjson.dumps({"kind": kind, "at_s": at_s, **fields}, default=str) + b"\n"
        try:
            if not self._entries.try_send(line):
                self.lost += 1
        except ChannelClosed:
            self.lost += 1

    async def aclose(self) -> None:
        """Write what waits and close the file."""
        self._entries.close()
        if self._task is not None:
            await self._task

    async def _run(self, path: Path) -> None:
        try:
            file = await asyncio.to_thread(_open, path)
        except OSError as error:
            log.error("journal_not_written", path=str(path), reason=error.strerror)  # noqa: TRY400
            self._entries.close()
            return
        try:
            async for line in self._entries:
                lines = [line]
                while len(self._entries):
                    lines.append(await self._entries.recv())
                await asyncio.to_thread(os.write, file, b"".join(lines))
        except OSError as error:
            log.error("journal_broke_off", path=str(path), reason=error.strerror)  # noqa: TRY400
            self._entries.close()
        finally:
            os.close(file)
            if self.lost:
                log.warning("journal_entries_lost", path=str(path), entries=self.lost)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


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
