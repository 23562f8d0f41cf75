from __future__ import annotations

import asyncio

import pytest

from penny.aio.channel import Channel, ChannelClosed


pytestmark = pytest.mark.virtual_time


async def test_values_come_out_in_order() -> None:
    channel: Channel[int] = Channel(3)
    for n in range(3):
        await channel.send(n)
    channel.close()

    assert [value async for value in channel] == [0, 1, 2]


async def test_send_waits_for_room_when_pausing() -> None:
    channel: Channel[int] = Channel(2)

    async def produce() -> None:
        for n in range(10):
            await channel.send(n)
        channel.close()

    producer = asyncio.create_task(produce())
    await asyncio.sleep(1)

    assert len(channel) == 2
    assert not channel.try_send(99)
    assert [value async for value in channel] == list(range(10))
    await producer
    assert channel.dropped == 0


async def test_the_oldest_is_dropped_and_counted() -> None:
    channel: Channel[int] = Channel(2, on_full="drop_oldest")

    for n in range(5):
        await channel.send(n)

    assert (await channel.recv(), await channel.recv()) == (3, 4)
    assert channel.dropped == 3


async def test_a_receiver_waits_for_a_value() -> None:
    channel: Channel[str] = Channel(1)
    asyncio.get_running_loop().call_later(5, channel.try_send, "late")

    assert await channel.recv() == "late"
    assert asyncio.get_running_loop().time() == 5


async def test_closing_wakes_everyone_who_waits() -> None:
    full: Channel[int] = Channel(1)
    empty: Channel[int] = Channel(1)
    await full.send(1)
    waits = [
        asyncio.create_task(wait)
        for wait in (full.send(2), full.send(3), empty.recv(), empty.recv())
    ]
    await asyncio.sleep(1)
    full.close()
    empty.close()
    empty.close()

    results = await asyncio.gather(*waits, return_exceptions=True)

    assert [type(result) for result in results] == [ChannelClosed] * 4
    assert full.closed
    assert await full.recv() == 1, "what was inside is still delivered"
    with pytest.raises(ChannelClosed):
        full.try_send(4)


async def test_a_wake_up_is_not_lost_with_a_cancelled_receiver() -> None:
    channel: Channel[int] = Channel(1)
    first, second = (asyncio.create_task(channel.recv()) for _ in range(2))
    await asyncio.sleep(1)

    channel.try_send(7)
    first.cancel()
    async with asyncio.timeout(1):
        assert await second == 7
    assert first.cancelled()


async def test_a_cancelled_waiter_is_passed_over() -> None:
    channel: Channel[int] = Channel(1)
    first, second = (asyncio.create_task(channel.recv()) for _ in range(2))
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.sleep(1)

    channel.try_send(7)
    assert await second == 7


async def test_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity: 0"):
        Channel(0)
