from __future__ import annotations

import asyncio

import pytest

from penny.aio.pacer import Pacer


pytestmark = pytest.mark.virtual_time


async def test_500_frames_leave_on_exact_deadlines() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    times_s = []
    for _ in range(500):
        await pacer.wait()
        times_s.append(loop.time())

    assert times_s == pytest.approx([n * 0.02 for n in range(500)], abs=1e-9)
    assert pacer.skipped == 0


async def test_work_between_frames_does_not_add_up() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    for _ in range(100):
        await pacer.wait()
        await asyncio.sleep(0.007)

    assert loop.time() == pytest.approx(99 * 0.02 + 0.007)


async def test_a_small_delay_is_caught_up_without_waiting() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    await pacer.wait()
    await asyncio.sleep(0.065)
    times_s, late_s = [], []
    for _ in range(5):
        late_s.append(await pacer.wait())
        times_s.append(loop.time())

    assert times_s == pytest.approx([0.065, 0.065, 0.065, 0.08, 0.1])
    assert late_s == pytest.approx([0.045, 0.025, 0.005, 0, 0])
    assert pacer.skipped == 0


async def test_a_long_delay_never_makes_a_flood() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer(max_burst=3)
    await pacer.wait()
    await asyncio.sleep(10)
    at_once = 0
    for _ in range(50):
        before_s = loop.time()
        await pacer.wait()
        at_once += loop.time() == before_s

    assert at_once == 4, "the frame due now and three of the past"
    assert loop.time() == pytest.approx(10 + 46 * 0.02)
    assert pacer.skipped == 500 - 1 - 3


async def test_a_reset_starts_a_new_run_at_once() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    await pacer.wait()
    await asyncio.sleep(5)
    pacer.reset()

    assert await pacer.wait() == 0
    assert loop.time() == 5
    await pacer.wait()
    assert loop.time() == pytest.approx(5.02)


async def test_another_clock_can_be_given() -> None:
    now_s = 100.0
    pacer = Pacer(frame_ms=10, clock=lambda: now_s)
    await pacer.wait()
    now_s += 0.015

    assert await pacer.wait() == pytest.approx(0.005)


async def test_bad_values_name_field_and_remedy() -> None:
    with pytest.raises(ValueError, match="frame_ms: 0"):
        Pacer(0)
    with pytest.raises(ValueError, match="max_burst: -1"):
        Pacer(max_burst=-1)
