"""A journal on a disk that takes half a line: whole entries or none, told once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from brain import journal
from brain.journal import CALM_S, Journal, JournalHealth, read_journal


pytestmark = pytest.mark.pure


class Disk:
    """``os.write`` with so many bytes of room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1_000_000
        self._write = os.write
        monkeypatch.setattr(journal.os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        written = self._write(file, data[: self.room])
        self.room -= written
        return written


async def test_half_a_line_is_taken_back_and_the_outage_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, health, now_s = Disk(monkeypatch), JournalHealth(), 0.0
    path = tmp_path / "one.jsonl"
    with capture_logs() as lines:
        record = Journal(path, lambda: now_s, health)
        record.write("session")
        await drained(record)
        for _ in range(3):
            disk.room = 10
            record.write("turn", words="perdido")
            await drained(record)
        assert health.reason == "No space left on device"
        disk.room = 1_000_000
        record.write("turn", words="corto")
        await drained(record)
        now_s = CALM_S
        record.write("turn", words="bien")
        await record.aclose()
    assert [line["event"] for line in lines] == ["journal_not_written", "journal_written_again"]
    assert (health.entries_lost, health.reason) == (3, "")
    entries = list(read_journal(path))
    assert [entry.get("words") for entry in entries] == [None, "corto", "bien"]


async def drained(record: Journal) -> None:
    """Until what was written is on the disk, or lost."""
    while record._writing is not None:
        await asyncio.sleep(0.001)
