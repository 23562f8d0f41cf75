"""A book is one living gateway's; what a dead one left in it is found by the next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from modes.self_hosted.runpod.book import LeaseBook


def test_what_a_gateway_left_is_found_and_stays_until_crossed_out(tmp_path: Path) -> None:
    path = tmp_path / "leases.json"
    path.write_text('["job-1", "job-2"]')
    book = LeaseBook(path)
    assert book.open() == ["job-1", "job-2"]
    book.cross_out("job-1")
    assert json.loads(path.read_text()) == ["job-2"]
    book.close()


def test_a_living_gateways_jobs_are_no_orphans_to_another_in_the_same_folder(
    tmp_path: Path,
) -> None:
    path = tmp_path / "leases.json"
    one, other = LeaseBook(path), LeaseBook(path)
    assert one.open() == []
    one.enter("job-1")
    assert other.open() == []
    other.enter("job-2")
    assert json.loads(path.read_text()) == ["job-1"]  # neither writes over the other's

    one.close()
    other.close()
    third = LeaseBook(path)
    assert third.open() == ["job-1", "job-2"]
    assert json.loads(path.read_text()) == ["job-1", "job-2"]
    assert not (tmp_path / "leases-2.json").exists()
    third.close()


def test_a_killed_process_leaves_its_book_unlocked(tmp_path: Path) -> None:
    path = tmp_path / "leases.json"
    script = (
        "import sys, time; from pathlib import Path\n"
        "from modes.self_hosted.runpod.book import LeaseBook\n"
        "book = LeaseBook(Path(sys.argv[1])); book.open(); book.enter('job-1')\n"
        "print('kept', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        second = LeaseBook(path)
        assert second.open() == []
        second.close()
        process.kill()
    third = LeaseBook(path)
    assert third.open() == ["job-1"]
    third.close()


def test_a_broken_or_unwritable_book_is_told_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "leases.json"
    path.write_text("{broken")
    book = LeaseBook(path)
    assert book.open() == []
    book.close()
    blocked = LeaseBook(path / "no folder" / "leases.json")
    assert blocked.open() == []
    blocked.enter("job-1")
    blocked.close()
