"""Takes calls one after another and analyses them: beside a gateway, or on another machine.

Its leases are renewed while it works, so that a step of an hour is done once. What it cannot finish
is left to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from penny.aio.tasks import TaskOwner
from penny.analysis.batch.collect import collect
from penny.analysis.batch.graph import Kept, Step, Throttled, Work, run_steps
from penny.analysis.batch.jobs import DEATHS, GIVEN_UP, LEASE_MS, Job, Jobs, LeaseLost
from penny.analysis.dialogue import said_in
from penny.calls.database import StoreUnavailable


log = structlog.get_logger()

Json = dict[str, Any]

RENEW_S = LEASE_MS / 3000
AWAY_S = 5.0
"""Before it asks a database again that was away."""


@dataclass(slots=True)
class Done:
    """What a worker has done so far."""

    completed: int = 0
    skipped: int = 0
    failed: int = 0
    lost: int = 0

    @property
    def all(self) -> int:
        """Calls that it finished."""
        return self.completed + self.skipped + self.failed


class Worker:
    """One worker with so many calls in hand at a time.

    Args:
        tools: what steps work with.
        may_work: whether it may take a call now; asked before each.
        on_done: called after each call.
    """

    def __init__(
        self,
        jobs: Jobs,
        steps: Sequence[Step],
        tools: Any,
        *,
        max_concurrent: int = 1,
        may_work: Callable[[], bool] = lambda: True,
        on_done: Callable[[Done], None] = lambda _done: None,
    ) -> None:
        self.done = Done()
        self._jobs = jobs
        self._steps = steps
        self._tools = tools
        self._places = max_concurrent
        self._may_work = may_work
        self._on_done = on_done
        self._held: dict[str, asyncio.Task[None]] = {}
        self._tasks = TaskOwner("analysis")

    async def run(self, limit: int | None = None) -> Done:
        """Work until nothing is due, or it may not work any more.

        Args:
            limit: most calls.

        Raises:
            StoreUnavailable: the database is away.
        """
        renewing = self._tasks.spawn(self._renew_on(), name="renew leases")
        try:
            taken = 0
            while self._may_work() and (limit is None or taken < limit):
                room = self._places - len(self._held)
                room = room if limit is None else min(room, limit - taken)
                found = await self._jobs.claim(room) if room else []
                taken += len(found)
                for job in found:
                    self._take(job)
                if not self._held:
                    break
                await asyncio.wait(self._held.values(), return_when=asyncio.FIRST_COMPLETED)
                self._raise_faults()
            while self._held:
                await asyncio.wait(self._held.values(), return_when=asyncio.FIRST_COMPLETED)
                self._raise_faults()
            return self.done
        finally:
            renewing.cancel()
            await self._give_back()

    async def aclose(self) -> None:
        """Give back what is in hand."""
        await self._give_back()
        await self._tasks.aclose()

    def _take(self, job: Job) -> None:
        self._held[job.call_id] = asyncio.create_task(self._analyse(job), name="analyse call")

    def _raise_faults(self) -> None:
        """Let go of what is done. Raises what a call's task raised: the database is away."""
        for call_id, task in list(self._held.items()):
            if task.done():
                del self._held[call_id]
                task.result()
                self._on_done(self.done)

    async def _give_back(self) -> None:
        held = dict(self._held)
        self._held.clear()
        for task in held.values():
            task.cancel()
        await asyncio.gather(*held.values(), return_exceptions=True)
        if held:
            try:
                await self._jobs.release(list(held))
            except StoreUnavailable as error:
                log.warning("analysis_not_given_back", calls=len(held), reason=error.message)

    async def _renew_on(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                held = dict(self._held)
                kept = await self._jobs.renew(list(held))
            except StoreUnavailable as error:
                log.warning("analysis_lease_not_renewed", reason=error.message)
                continue
            # Of those that were asked about: what was claimed meanwhile is ours for a minute yet.
            for call_id in held.keys() - set(kept):
                held[call_id].cancel()  # another has it by now, or it is done

    async def _analyse(self, job: Job) -> None:
        try:
            await self._work_on(job)
        except LeaseLost:
            self.done.lost += 1
            log.warning("analysis_lease_lost", call_id=job.call_id)
        except asyncio.CancelledError:
            if job.call_id in self._held:
                self.done.lost += 1
                return
            raise

    async def _work_on(self, job: Job) -> None:
        call = await self._jobs.store.get(None, job.call_id)
        if call is None:
            await self._jobs.drop(job)
            return
        kept = await self._jobs.steps_of(job.call_id)
        work = Work(call, said_in(call), self._tools)
        if job.attempts > DEATHS:
            await self._jobs.finish(job, collect(work, list(kept.values()), GIVEN_UP))
            self.done.failed += 1
            return
        slow = {step.name for step in self._steps if step.is_slow}

        async def keep(step: Kept) -> None:
            if step.step in slow and step.state == "completed":
                await self._jobs.keep_step(job.call_id, step)

        try:
            steps = await run_steps(self._steps, work, kept, keep)
        except Throttled:
            await self._jobs.throttle(job)
            return
        found = collect(work, steps)
        await self._jobs.finish(job, found)
        setattr(self.done, found.state, getattr(self.done, found.state) + 1)
