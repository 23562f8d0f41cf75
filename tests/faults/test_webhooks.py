"""A short form of ``tests.faults.webhook_run``: a killed gateway loses no event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.webhook_run import WAYS, run


pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

EVENTS = 80


async def test_every_event_comes_whatever_fails_and_whoever_is_killed(tmp_path: Path) -> None:
    result = await run(tmp_path, EVENTS, kills=3)
    failing = [way for way in WAYS if way != "gone"]
    assert result.events == EVENTS
    assert result.lost == dict.fromkeys(failing, 0)
    assert result.foreign == dict.fromkeys(failing, 0)
    assert result.gone == "gone"
