"""A step of forty minutes, two workers: the lease is renewed and the step runs once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from penny.analysis.batch.graph import Step, Work
from penny.analysis.batch.jobs import LEASE_MS, Found, Job, LeaseLost
from penny.analysis.batch.worker import Worker
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.virtual_time


class Lease:
    """One job, with what ``Jobs`` promises of its lease (held against the databases elsewhere)."""

    def __init__(self) -> None:
        self.owner, self.due_s, self.is_done, self.attempts = "", 0.0, False, 0


class OneJob:
    """``Jobs`` of a worker with one call in them."""

    def __init__(self, lease: Lease, owner: str) -> None:
        self._lease, self._owner = lease, owner
        self.store = SimpleNamespace(get=self._get)

    async def _get(self, _tenant: None, _call_id: str) -> Any:
        return a_call()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    async def claim(self, _limit: int) -> list[Job]:
        lease = self._lease
        if lease.is_done or lease.due_s > self._now_s():
            return []
        lease.owner, lease.due_s = self._owner, self._now_s() + LEASE_MS / 1000
        lease.attempts += 1
        return [Job("call", lease.attempts)]

    async def renew(self, ids: list[str]) -> list[str]:
        if not ids or self._lease.owner != self._owner:
            return []
        self._lease.due_s = self._now_s() + LEASE_MS / 1000
        return ids

    async def steps_of(self, _call_id: str) -> dict[str, Any]:
        return {}

    async def release(self, _ids: list[str]) -> None:
        self._lease.due_s = 0.0

    async def finish(self, _job: Job, _found: Found) -> None:
        if self._lease.owner != self._owner:
            raise LeaseLost(_job.call_id)
        self._lease.is_done = True


async def test_forty_minutes_run_once_with_two_workers() -> None:
    runs: list[float] = []

    async def long(_work: Work) -> dict[str, Any]:
        runs.append(asyncio.get_running_loop().time())
        await asyncio.sleep(2400)
        return {}

    lease = Lease()
    steps = [Step("long", 1, long)]
    workers = [Worker(OneJob(lease, name), steps, None) for name in ("one", "two")]  # type: ignore[arg-type]

    async def keep_on(worker: Worker) -> None:
        for _ in range(60):
            await worker.run()
            await asyncio.sleep(60)

    await asyncio.gather(*map(keep_on, workers))
    assert len(runs) == 1
    assert lease.is_done
    assert sum(worker.done.completed for worker in workers) == 1


async def test_a_worker_that_stands_still_loses_its_call_and_writes_nothing() -> None:
    lease = Lease()
    begun: list[str] = []

    async def long(_work: Work) -> dict[str, Any]:
        begun.append("begun")
        await asyncio.sleep(1000)
        return {}

    steps = [Step("long", 1, long)]
    first = Worker(OneJob(lease, "one"), steps, None)  # type: ignore[arg-type]
    running = asyncio.create_task(first.run())
    await asyncio.sleep(5)
    lease.owner = "two"  # another took it while this one was suspended
    done = await running
    assert begun == ["begun"]
    assert (done.completed, done.lost, lease.is_done) == (0, 1, False)
