"""A blocked event loop is measured, and alarmed once, not at every tick."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from penny.gateway.health import LoopLag


pytestmark = pytest.mark.pure


class Clock:
    """The loop's clock, which a test sets forward as a blocking call would."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.blocked_s = 0.0

    def __call__(self) -> float:
        return self._loop.time() + self.blocked_s


@pytest.mark.virtual_time
async def test_a_blocked_loop_is_alarmed_once_in_ten_seconds() -> None:
    clock, measured = Clock(), list[float]()
    lag = LoopLag(measured.append, clock)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(lag.watch(), name="loop lag")
        for _ in range(5):
            await asyncio.sleep(0.95)
            clock.blocked_s += 0.5
        await asyncio.sleep(0.2)
        task.cancel()
    assert max(measured) == pytest.approx(0.5, abs=0.01)
    assert sorted(measured)[-5:] == pytest.approx([0.5] * 5, abs=0.01)
    assert [entry["event"] for entry in logs] == ["event_loop_late"]
