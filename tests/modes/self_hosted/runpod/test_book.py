"""The record of open leases, on a disk that does not take it."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from modes.self_hosted.runpod.book import LeaseBook


pytestmark = pytest.mark.pure


def test_a_book_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "leases.json"
    book = LeaseBook(path)
    book.open()
    try:
        path.unlink(missing_ok=True)
        path.mkdir()
        with capture_logs() as lines:
            book.enter("job-1")
        assert [line["event"] for line in lines] == ["lease_book_not_kept"]
    finally:
        book.close()
