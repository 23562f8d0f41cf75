"""The soak, shortened: six callers for a quarter of a minute beside every fault, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.run import soak


pytestmark = pytest.mark.process


async def test_no_turn_and_no_event_is_lost_beside_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = await soak(tmp_path, sessions=6, seconds=15.0, seed=3)
    assert status == 0, capsys.readouterr().out
