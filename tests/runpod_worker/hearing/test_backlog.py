"""The backlog keeps order, loses nothing, and makes whoever is ahead wait."""

from __future__ import annotations

import asyncio

import pytest

from runpod_worker.hearing.backlog import Backlog


pytestmark = pytest.mark.pure


async def test_audio_and_marks_come_out_in_the_order_they_went_in() -> None:
    backlog, marks = Backlog(100), []
    backlog.put_audio(b"one")
    backlog.put_mark(lambda: marks.append("commit"))
    backlog.put_audio(b"two")
    entries = backlog.entries()
    assert await anext(entries) == b"one"
    mark = await anext(entries)
    assert callable(mark)
    mark()
    assert marks == ["commit"]
    assert await anext(entries) == b"two"


async def test_who_is_too_far_ahead_waits_until_enough_is_heard_and_nothing_is_lost() -> None:
    backlog = Backlog(10)
    for _ in range(3):
        backlog.put_audio(b"12345678")
    waiting = asyncio.ensure_future(backlog.room())
    entries = backlog.entries()
    for _ in range(2):
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await anext(entries) == b"12345678"
    await waiting
    assert await anext(entries) == b"12345678"


async def test_who_waits_for_the_ears_waits_for_what_was_put_before_alone() -> None:
    backlog = Backlog(100)
    backlog.put_audio(b"before")
    waiting = asyncio.ensure_future(backlog.heard())
    await asyncio.sleep(0)
    backlog.put_audio(b"after")
    entries = backlog.entries()
    assert await anext(entries) == b"before"
    await asyncio.sleep(0)
    assert not waiting.done()
    mark = await anext(entries)
    assert callable(mark)
    mark()
    await waiting
    assert await anext(entries) == b"after"


async def test_a_closed_backlog_lets_everyone_go() -> None:
    backlog = Backlog(1)
    backlog.put_audio(b"1234")
    waiting = asyncio.ensure_future(backlog.heard())
    await asyncio.sleep(0)
    backlog.close()
    await waiting
    await backlog.heard()
    await backlog.room()
    backlog.put_audio(b"1234")
    await backlog.room()
    assert [entry async for entry in backlog.entries()] == []
