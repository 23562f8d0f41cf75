from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from penny.aio.tasks import TaskOwner, failed_tasks
from penny.errors import EngineError


pytestmark = pytest.mark.virtual_time


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise EngineError("the caller said: my card is 1234", stage="stt", code="stt_gone")


async def test_a_task_is_named_and_gives_its_result() -> None:
    async with aclosing(TaskOwner("session")) as owner:
        task = owner.spawn(asyncio.sleep(1, "done"), name="writer")

        assert task.get_name() == "writer"
        assert await task == "done"


async def test_a_failure_is_logged_once_without_its_text_and_reported_once() -> None:
    failures: list[tuple[str, BaseException]] = []
    owner = TaskOwner("session", lambda name, error: failures.append((name, error)))
    counted = failed_tasks.get("session", 0)
    with capture_logs() as logs:
        owner.spawn(fail(), name="reader")
        await asyncio.sleep(1)
        await owner.aclose()

    assert [(name, type(error)) for name, error in failures] == [("reader", EngineError)]
    assert failed_tasks["session"] == counted + 1
    (entry,) = logs
    where = entry.pop("where")
    assert where.endswith(" fail")
    assert "test_tasks.py:" in where
    assert entry == {
        "event": "task_failed",
        "log_level": "error",
        "owner": "session",
        "task": "reader",
        "error": "EngineError",
        "code": "stt_gone",
    }


async def test_no_task_outlives_its_owner() -> None:
    cleaned: list[str] = []

    async def slow_to_end() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(2)
            cleaned.append("ended")

    owner = TaskOwner("session")
    tasks = [owner.spawn(slow_to_end(), name=f"task_{n}") for n in range(3)]
    await asyncio.sleep(1)
    await owner.aclose()
    await owner.aclose()

    assert all(task.cancelled() for task in tasks)
    assert cleaned == ["ended"] * 3
    assert asyncio.get_running_loop().time() == 3


async def test_an_error_while_ending_is_reported_too() -> None:
    failures: list[str] = []

    async def breaks_at_the_end() -> None:
        try:
            await forever()
        finally:
            await fail()

    owner = TaskOwner("session", lambda name, _: failures.append(name))
    owner.spawn(breaks_at_the_end(), name="writer")
    await asyncio.sleep(1)
    with capture_logs() as logs:
        await owner.aclose()
        await asyncio.sleep(0)

    assert failures == ["writer"]
    assert len(logs) == 1


async def test_an_impatient_closer_still_waits_for_the_tasks() -> None:
    async def slow_to_end() -> None:
        try:
            await forever()
        finally:
            await asyncio.shield(asyncio.sleep(2))

    owner = TaskOwner("session")
    task = owner.spawn(slow_to_end(), name="writer")
    await asyncio.sleep(1)
    closer = asyncio.create_task(owner.aclose())
    await asyncio.sleep(1)
    closer.cancel()

    with pytest.raises(asyncio.CancelledError):
        await closer
    assert task.done()


async def test_a_task_may_close_its_owner() -> None:
    owner = TaskOwner("session")
    other = owner.spawn(forever(), name="other")

    async def close() -> str:
        await owner.aclose()
        return "closed"

    assert await owner.spawn(close(), name="closer") == "closed"
    assert other.cancelled()


async def test_a_closed_owner_starts_nothing() -> None:
    owner = TaskOwner("session")
    await owner.aclose()

    with pytest.raises(RuntimeError, match="session is closed; late was not started"):
        owner.spawn(forever(), name="late")


async def test_a_failure_without_a_listener_is_still_logged() -> None:
    with capture_logs() as logs:
        async with aclosing(TaskOwner("session")) as owner:
            owner.spawn(fail(), name="reader")
            await asyncio.sleep(1)

    assert [entry["task"] for entry in logs] == ["reader"]
