from __future__ import annotations

import asyncio

import pytest

from penny.aio.alarm import Alarm


pytestmark = pytest.mark.virtual_time


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_set_before_the_wait_lets_it_return_at_once() -> None:
    alarm = Alarm()
    begun_s = now_s()

    alarm.set()
    await alarm.wait(begun_s + 5)
    alarm.close()

    assert now_s() == begun_s


async def test_one_set_wakes_once() -> None:
    alarm = Alarm()
    alarm.set()
    await alarm.wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(alarm.wait(), 1)


async def test_wait_returns_when_it_is_time() -> None:
    alarm = Alarm()
    begun_s = now_s()

    await alarm.wait(begun_s + 2)

    assert now_s() == pytest.approx(begun_s + 2)


async def test_an_earlier_time_replaces_a_later_one() -> None:
    alarm = Alarm()
    begun_s = now_s()
    alarm.set()
    await alarm.wait(begun_s + 60)

    await alarm.wait(begun_s + 1)
    alarm.close()

    assert now_s() == pytest.approx(begun_s + 1)


async def test_a_wait_for_a_later_time_returns_by_then() -> None:
    alarm = Alarm()
    begun_s = now_s()
    alarm.set()
    await alarm.wait(begun_s + 1)

    waits = 0
    while now_s() < begun_s + 3:
        await alarm.wait(begun_s + 3)
        waits += 1

    assert now_s() == pytest.approx(begun_s + 3)
    assert waits == 2


async def test_setting_from_elsewhere_ends_a_wait_early() -> None:
    alarm = Alarm()
    begun_s = now_s()
    asyncio.get_running_loop().call_later(0.5, alarm.set)

    await alarm.wait(begun_s + 9)
    alarm.close()

    assert now_s() == pytest.approx(begun_s + 0.5)


async def test_a_cancelled_wait_does_not_stop_the_next() -> None:
    alarm = Alarm()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(alarm.wait(), 1)

    alarm.set()
    await asyncio.wait_for(alarm.wait(), 1)


async def test_closing_leaves_no_timer() -> None:
    alarm = Alarm()
    begun_s = now_s()
    alarm.set()
    await alarm.wait(begun_s + 1)
    alarm.close()
    alarm.close()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(alarm.wait(), 5)
