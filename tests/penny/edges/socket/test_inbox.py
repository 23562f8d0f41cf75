"""Order holds, audio gives way, control never does."""

from __future__ import annotations

import asyncio

import pytest

from penny.aio.channel import ChannelClosed
from penny.edges.socket.inbox import AUDIO_EVENTS, CONTROL_EVENTS, STALL_S, Inbox


pytestmark = pytest.mark.virtual_time


def audio(number: int) -> dict[str, object]:
    return {"type": "audio", "number": number}


async def test_audio_and_control_come_in_the_order_they_were_put() -> None:
    inbox = Inbox()
    await inbox.put_audio(audio(1))
    inbox.put({"type": "control"})
    await inbox.put_audio(audio(2))
    inbox.close()
    assert [event["type"] for event in [e async for e in inbox]] == ["audio", "control", "audio"]


async def test_a_full_inbox_pauses_the_reader_while_the_speaker_takes() -> None:
    inbox = Inbox()
    for number in range(AUDIO_EVENTS):
        await inbox.put_audio(audio(number))
    waiting = asyncio.create_task(inbox.put_audio(audio(AUDIO_EVENTS)))
    await asyncio.sleep(STALL_S / 2)
    assert not waiting.done()
    await anext(aiter(inbox))
    await waiting
    assert inbox.dropped == 0


async def test_a_frozen_speaker_costs_the_oldest_audio_and_no_control() -> None:
    inbox = Inbox()
    inbox.put({"type": "control", "number": 0})
    for number in range(AUDIO_EVENTS + 10):
        await inbox.put_audio(audio(number))
    inbox.put({"type": "control", "number": 1})
    inbox.close()
    events = [event async for event in inbox]
    assert inbox.dropped == 10
    assert events[0] == {"type": "control", "number": 0}
    assert events[1] == audio(10)
    assert events[-1] == {"type": "control", "number": 1}
    assert asyncio.get_running_loop().time() == pytest.approx(STALL_S)


async def test_far_too_much_control_ends_the_callers_stream() -> None:
    inbox = Inbox()
    for number in range(CONTROL_EVENTS):
        inbox.put({"number": number})
    with pytest.raises(ChannelClosed):
        inbox.put({"number": -1})
    assert len([event async for event in inbox]) == CONTROL_EVENTS
