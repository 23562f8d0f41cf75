"""The days' use outlives the process, is shared by processes, and costs no call when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from penny.trust.ledger import DayLedger
from penny.trust.limits import DAY_S, Limits, Scope
from penny.trust.memory_store import MemoryStore
from penny.trust.store import Place


pytestmark = pytest.mark.pure


def test_two_processes_add_to_one_day_and_a_third_reads_it(tmp_path: Path) -> None:
    one, other = DayLedger(tmp_path / "var" / "days"), DayLedger(tmp_path / "var" / "days")
    assert one.read(3, ["t:a"]) == {}
    assert one.add(3, {"t:a": (10.0, 0.5)}) == {"t:a": (10.0, 0.5)}
    assert other.add(3, {"t:a": (5.0, 0.25), "t:b": (1.0, 0.0)})["t:a"] == (15.0, 0.75)
    again = DayLedger(tmp_path / "var" / "days")
    assert again.read(3, ["t:a", "t:b"]) == {"t:a": (15.0, 0.75), "t:b": (1.0, 0.0)}
    assert again.read(4, ["t:a"]) == {}
    assert (tmp_path / "var" / "days").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_used_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "days").mkdir()
    ledger = DayLedger(tmp_path / "days")
    with capture_logs() as logs:
        assert ledger.add(3, {"t:a": (1.0, 1.0)}) == {}
        assert ledger.add(3, {"t:a": (1.0, 1.0)}) == {}
    assert [each["event"] for each in logs] == ["days_not_kept"]
    assert "not written" in ledger.fault
    (tmp_path / "days").rmdir()
    assert ledger.add(3, {"t:a": (1.0, 1.0)}) == {"t:a": (1.0, 1.0)}
    assert ledger.fault == ""


async def test_a_restarted_store_denies_what_the_day_has_no_money_for(tmp_path: Path) -> None:
    scope = Scope("t:a", Limits(usd_per_day=1.0))
    free = Scope("t:free", Limits(max_sessions=5))
    day = [3.5 * DAY_S]
    first = MemoryStore(lambda: day[0], ledger=DayLedger(tmp_path / "days"))
    await first.charge({scope: (60.0, 1.25), free: (60.0, 9.0)})
    await first.aclose()
    again = MemoryStore(lambda: day[0], ledger=DayLedger(tmp_path / "days"))
    place = Place("s1", (scope, free), {})
    denial = await again.admit(place)
    assert denial is not None
    assert (denial.scope, denial.limit) == ("t:a", "usd_per_day")
    assert again._ledger is not None
    assert again._ledger.read(3, ["t:free"]) == {}  # only what has a limit of the day
    day[0] += DAY_S
    assert await again.admit(place) is None
    await again.aclose()
