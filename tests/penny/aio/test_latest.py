from __future__ import annotations

import asyncio

import pytest

from penny.aio.channel import ChannelClosed
from penny.aio.latest import Latest


pytestmark = pytest.mark.virtual_time


async def test_the_newest_wins() -> None:
    slot: Latest[str] = Latest()
    for revision in ("one", "two", "three"):
        slot.put(revision)

    assert slot
    assert await slot.take() == "three"
    assert not slot
    assert slot.replaced == 2


async def test_a_taker_waits_for_the_first_value() -> None:
    slot: Latest[int] = Latest()
    asyncio.get_running_loop().call_later(3, slot.put, 1)

    assert await slot.take() == 1
    assert asyncio.get_running_loop().time() == 3


async def test_a_closed_slot_gives_its_last_value_and_ends() -> None:
    slot: Latest[int] = Latest()
    slot.put(1)
    slot.close()

    assert [value async for value in slot] == [1]
    with pytest.raises(ChannelClosed):
        slot.put(2)
    with pytest.raises(ChannelClosed):
        await slot.take()
