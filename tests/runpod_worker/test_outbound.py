from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penny.aio.tasks import TaskOwner
from penny.realtime.commands import Hangup
from runpod_worker import outbound
from runpod_worker.outbound import ROOM_BYTES, Outbound


pytestmark = pytest.mark.virtual_time


class Socket:
    def __init__(self) -> None:
        self.got: list[Any] = []

    async def take(self, entry: Any) -> None:
        self.got.append(entry)


async def test_events_go_in_order_and_the_close_is_the_last() -> None:
    socket, tasks = Socket(), TaskOwner("test", lambda _task, _error: None)
    queue = Outbound(tasks, socket.take, socket.take)
    for entry in ({"type": "a"}, {"type": "b"}, Hangup(1000, "bye"), {"type": "c"}):
        queue.put(entry)
    await queue.run()
    assert socket.got == [{"type": "a"}, {"type": "b"}, Hangup(1000, "bye")]
    await tasks.aclose()


async def test_a_client_that_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "EVENTS", 2)
    socket, tasks = Socket(), TaskOwner("test", lambda _task, _error: None)
    queue = Outbound(tasks, socket.take, socket.take)
    for number in range(4):
        queue.put({"type": str(number)})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert socket.got == [Hangup(1008, "client does not read")]
    queue.put({"type": "late"})
    await tasks.aclose()


async def test_no_more_is_taken_of_a_client_to_whom_much_waits_to_be_sent() -> None:
    sending = asyncio.Event()

    async def send(_event: Any) -> None:
        await sending.wait()

    tasks = TaskOwner("test", lambda _task, _error: None)
    queue = Outbound(tasks, send, Socket().take)
    await queue.room()  # at once
    for _ in range(2):
        queue.put({"type": "a", "item": {"content": [{"audio": "A" * ROOM_BYTES}]}})
    taking = asyncio.create_task(queue.room())
    tasks.spawn(queue.run(), name="writer")
    await asyncio.sleep(1.0)
    assert not taking.done()
    sending.set()
    await taking
    queue.put({"type": "a", "text": "A" * (ROOM_BYTES + 1)})
    sending.clear()
    taking = asyncio.create_task(queue.room())
    await asyncio.sleep(1.0)
    assert not taking.done()
    queue.close()
    await taking
    await tasks.aclose()
