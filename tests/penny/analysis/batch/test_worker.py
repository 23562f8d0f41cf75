"""A worker renews the leases of what it had in hand when it asked, and lets go of no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from penny.analysis.batch import worker as module
from penny.analysis.batch.jobs import Job
from penny.analysis.batch.steps import Tools
from penny.analysis.batch.worker import Worker
from penny.calls.record import Call
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.pure


class SlowRenewal:
    """Jobs whose renewal of the first call is answered after the second was claimed."""

    def __init__(self) -> None:
        self.waiting = ["first", "second"]
        self.finished: list[str] = []
        self.store = self
        self.asked: list[str] = []
        self._second_is_read, self._is_renewed = asyncio.Event(), asyncio.Event()

    async def claim(self, limit: int) -> list[Job]:
        return [Job(self.waiting.pop(0), 1)] if self.waiting and limit else []

    async def get(self, _tenant: None, call_id: str) -> Call:
        if call_id == "second":
            self._second_is_read.set()
            await self._is_renewed.wait()
        return a_call(id=call_id)

    async def steps_of(self, call_id: str) -> dict[str, Any]:
        while call_id == "first" and not self.asked:
            await asyncio.sleep(0)
        return {}

    async def finish(self, job: Job, _found: object) -> None:
        self.finished.append(job.call_id)

    async def release(self, ids: Sequence[str]) -> None:
        raise AssertionError(ids)

    async def renew(self, ids: Sequence[str]) -> list[str]:
        if self.asked or not ids:
            return list(ids)
        self.asked = list(ids)
        await self._second_is_read.wait()
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, self._go_on)
        return []  # the first is done by now

    def _go_on(self) -> None:
        self._is_renewed.set()


async def test_a_call_claimed_during_a_renewal_is_not_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0)
    jobs = SlowRenewal()
    done = await Worker(jobs, (), Tools(rules=lambda _tenant: ())).run()  # type: ignore[arg-type]
    assert jobs.asked == ["first"]
    assert jobs.finished == ["first", "second"]
    assert (done.completed, done.lost) == (2, 0)
