"""The clock that jumps keeps what a real loop promises."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.virtual_time import VirtualTimeLoop


pytestmark = pytest.mark.virtual_time


async def test_ten_minutes_of_sleep_are_instant_and_exact() -> None:
    loop, began_s = asyncio.get_running_loop(), time.monotonic()

    await asyncio.sleep(600)

    assert isinstance(loop, VirtualTimeLoop)
    assert loop.time() == 600
    assert time.monotonic() - began_s < 60


async def test_a_timeout_hits_exactly() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(7.5):
            await asyncio.Event().wait()

    assert asyncio.get_running_loop().time() == 7.5


async def test_500_ticks_of_20_ms_are_10_seconds() -> None:
    loop = asyncio.get_running_loop()

    for n in range(1, 501):
        deadline_s = n * 0.02
        await asyncio.sleep(deadline_s - loop.time())

    assert loop.time() == pytest.approx(10, abs=1e-9)


async def test_equal_deadlines_fire_in_the_order_they_were_set() -> None:
    loop, fired = asyncio.get_running_loop(), []

    for n in range(200):
        loop.call_at(5.0, fired.append, n)
    loop.call_at(4.0, fired.append, "before")
    loop.call_at(5.0, fired.append, "cancelled").cancel()
    await asyncio.sleep(6)

    assert fired == ["before", *range(200)]


async def test_distinct_deadlines_stay_distinct() -> None:
    loop = asyncio.get_running_loop()
    times_s: list[float] = []

    for at_s in (1.000002, 1.000001):
        loop.call_at(at_s, lambda: times_s.append(loop.time()))
    await asyncio.sleep(2)

    assert times_s == [1.000001, 1.000002]


async def test_the_clock_stands_still_while_a_thread_works() -> None:
    async with asyncio.timeout(0.001):
        assert await asyncio.to_thread(lambda: time.sleep(0.02) or "done") == "done"

    assert asyncio.get_running_loop().time() == 0


async def test_loopback_sockets_work_and_timeouts_do_not_overtake_them() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.02)
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for n in range(100):
        async with asyncio.timeout(1):
            writer.write(b"%d\n" % n)
            assert await reader.readline() == b"%d\n" % n
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()

    assert asyncio.get_running_loop().time() == pytest.approx(2.0)


async def test_a_background_task_interleaves_in_time_order() -> None:
    loop = asyncio.get_running_loop()
    log: list[tuple[str, float]] = []

    async def tick(name: str, every_s: float) -> None:
        for _ in range(3):
            await asyncio.sleep(every_s)
            log.append((name, loop.time()))

    await asyncio.gather(tick("a", 2), tick("b", 3))

    assert log == [("a", 2), ("b", 3), ("a", 4), ("b", 6), ("a", 6), ("b", 9)]
