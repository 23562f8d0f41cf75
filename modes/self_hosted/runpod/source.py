"""Workers leased on RunPod: asked for when needed, kept warm, let go, never orphaned."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from config.runpod import RunpodSection
from modes.self_hosted.runpod.api import FINAL, RunpodApi
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.borrower import Borrower
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.desk import LeaseDesk, Slot
from modes.self_hosted.runpod.keeper import POLL_S, WORKER_RETURNS_S, LeaseKeeper
from modes.self_hosted.runpod.lease import Lease, LeaseMeter
from modes.self_hosted.runpod.pool import LeasePool, Verdict
from modes.self_hosted.runpod.progress import Awaited, describe_wait
from modes.self_hosted.runpod.record import SlotRequest
from modes.self_hosted.source import Place
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable
from penny.ids import new_id
from penny.session.mode import Availability, SessionSpec, WorkerState
from runpod_worker.lease import LeaseJob


log = structlog.get_logger()

GRACE_S = 60.0
"""RunPod may end the job this much after the lease: Penny ends it first, in an orderly way."""
HURRY_S = 0.2
"""Between two looks at the other gateways' slots while a session waits for one."""


class RunpodWorkers:
    """A WorkerSource of leased workers. At most ``max_workers`` leases at once, of all gateways.

    Args:
        api: None without a key; then the mode is unavailable and says so.
        pool: what several gateways share; None: this one is alone.
        session_max_s: longest session; a lease takes none that could outlive it.
        clock: the loop's clock, seconds. now: wall time, for the floor's hours.
    """

    def __init__(
        self,
        settings: RunpodSection,
        api: RunpodApi | None,
        book: LeaseBook,
        cold_starts: ColdStarts,
        *,
        session_max_s: float,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pool: LeasePool | None = None,
        worker_returns_s: float = WORKER_RETURNS_S,
    ) -> None:
        self._settings = settings
        self._api = api
        self._book = book
        self._cold_starts = cold_starts
        self._session_max_s = min(session_max_s, settings.lease_max_s)
        self._clock = clock
        self._pool = pool
        self._tasks = TaskOwner("runpod leases")
        self._changed = asyncio.Event()
        self.desk = LeaseDesk(clock, self._note_change, pool)
        self.desk.on_adopted = self._take_over
        self.keeper = LeaseKeeper(
            settings,
            api,
            self.desk,
            book,
            cold_starts,
            pool,
            session_max_s=self._session_max_s,
            clock=clock,
            now=now,
            worker_returns_s=worker_returns_s,
        )
        self._waiting = 0
        self._borrower = None
        if pool is not None:
            self._borrower = Borrower(
                pool, self.desk, settings.usd_per_hour, clock, self._tell_pool
            )
        self._trouble: ModeUnavailable | None = None

    def availability(self) -> Availability:
        if self._api is None:
            return Availability(
                False, "RUNPOD_API_KEY is not set", "export RUNPOD_API_KEY=… before starting Penny"
            )
        if self._trouble is not None and not self._trouble.retryable:
            return Availability(False, self._trouble.message, self._trouble.remedy)
        return Availability(True)

    def workers(self) -> list[WorkerState]:
        """This gateway's, then those that others hold."""
        own = [
            WorkerState(lease.id, lease.state, f"{len(lease.live)} live, {len(lease.spare)} free")
            for lease in self.desk.leases.values()
        ]
        others = [] if self._pool is None else list(self._pool.others.values())
        return own + [
            WorkerState(le.id, le.state, f"{le.live} live, {le.free} free, at another gateway")
            for le in others
        ]

    async def start(self) -> None:
        """Cancel what an earlier gateway left behind; begin to watch over leases."""
        if self._api is None:
            return
        if self._pool is not None:
            await self._pool.start(self._lend)
        await self.keeper.begin()
        if self._pool is not None:
            self._tasks.spawn(self.keeper.stay_in_touch(self._changes), name="lease pool")
        self._tasks.spawn(self.keeper.watch_over(), name="lease keeper")

    async def aclose(self) -> None:
        """End every lease and its job."""
        await self._tasks.aclose()
        await self.keeper.close()
        await self.desk.aclose()
        if self._pool is not None:
            await self._pool.aclose()

    # -- sessions -----------------------------------------------------------------------------

    async def acquire(self, spec: SessionSpec) -> Place:
        """A slot, now or when a worker has woken; ``spec.tell`` hears how long that may take.

        Raises:
            ModeUnavailable: ``cold_budget_exceeded`` after ``spec.patience_s``; all workers are
                full; RunPod refuses; or nothing came within ``cold_limit_s``.
        """
        started_s = self._clock()
        traceparent = spec.trace.traceparent if spec.trace is not None else ""
        self._waiting += 1
        try:
            while True:
                changed = self._changed
                taken = await self.desk.take(spec.session_id, self._session_max_s, traceparent)
                if taken is not None:
                    return self._place(spec.session_id, *taken)
                awaited = await self._provide()
                if self._borrower is not None:
                    borrowed = await self._borrower.borrow(spec.session_id, traceparent)
                    if borrowed is not None:
                        return borrowed
                waited_s = self._clock() - started_s
                self._check_patience(spec, waited_s)
                spec.tell(describe_wait(awaited, self._cold_starts, self._clock(), spec.language))
                await _wait_for(changed)
        finally:
            self._waiting -= 1
            self._tell_pool()

    def _place(self, session_id: str, lease: Lease, slot: Slot) -> Place:
        async def release() -> None:
            await self.desk.give_back(lease, slot, session_id)

        def spent_usd() -> float:
            return lease.meter.share_usd(session_id, self._clock())

        return Place(slot.socket, lease.info, release, spent_usd)

    def _check_patience(self, spec: SessionSpec, waited_s: float) -> None:
        if spec.patience_s is not None and waited_s >= spec.patience_s:
            raise ModeUnavailable(
                f"no worker was ready within {spec.patience_s:g} s; one is waking up",
                remedy="try again in a minute",
                retryable=True,
                code="cold_budget_exceeded",
            )
        if waited_s >= self._settings.cold_limit_s:
            raise ModeUnavailable(
                f"no worker was ready within {self._settings.cold_limit_s:g} s",
                remedy="look at the endpoint's workers and logs at RunPod, or raise "
                "runpod.cold_limit_s",
                retryable=True,
            )

    def _lend(self, request: SlotRequest) -> None:
        if not self.desk.lend(request, self._session_max_s):
            log.info("slot_not_lent", lease_id=request.lease)

    def _tell_pool(self) -> None:
        if self._pool is not None and self._borrower is not None:
            self._pool.note(self._waiting, self._borrower.guests())

    # -- leases -------------------------------------------------------------------------------

    async def _provide(self) -> Awaited | None:
        """See that enough workers are coming for those who wait; the one awaited first."""
        coming: list[Awaited] = [le for le in self.desk.leases.values() if le.is_coming()]
        lease = self._new_lease()
        verdict = await self._decide(lease)
        if verdict == "ask":
            coming.append(await self._ask_for_worker(lease))
        elif verdict == "full":
            raise ModeUnavailable(
                f"all {self._settings.max_workers} leased workers are full",
                remedy="try again later, or raise runpod.max_workers",
                retryable=True,
            )
        elif not coming and self._pool is not None:
            coming += [le for le in self._pool.others.values() if le.state == "asked"]
        return coming[0] if coming else None

    async def _decide(self, lease: Lease) -> Verdict:
        """Whether another worker is needed and allowed; of several gateways, one decides."""
        others = 0
        if self._pool is not None and self._borrower is not None:
            self._tell_pool()
            most, useless = self._settings.max_workers, self._borrower.useless()
            verdict = await self._pool.provide(lease, most, useless)
            if verdict is not None:
                return verdict
            others = len(self._pool.others)
        leases = self.desk.leases.values()
        # A lease that is attached may have slots on their way: the worker dials them afresh.
        room = sum(
            lease.slots if lease.is_coming() else max(0, lease.slots - len(lease.live))
            for lease in leases
            if lease.is_coming() or lease.takes_sessions(self._clock(), self._session_max_s)
        )
        if self._waiting <= room:
            return "wait"
        if len(leases) + others < self._settings.max_workers:
            return "ask"
        return "wait" if room else "full"

    def _new_lease(self) -> Lease:
        now_s = self._clock()
        return Lease(
            id=new_id("lease"),
            job_id="",
            token=secrets.token_urlsafe(24),
            key=secrets.token_urlsafe(24),
            slots=self._settings.slots,
            asked_s=now_s,
            expires_s=now_s + self._settings.lease_max_s,
            kind="cold",
            meter=LeaseMeter(self._settings.usd_per_hour, now_s),
        )

    async def _ask_for_worker(self, lease: Lease) -> Lease:
        assert self._api is not None
        job = LeaseJob(
            gateway_ws=self._settings.gateway_url or "",
            lease_id=lease.id,
            token=lease.token,
            slots=lease.slots,
        )
        self.desk.expect(lease)
        try:
            health = await self._api.health()
            lease.kind = "warm" if health.ready else "cold"
            lease.job_id = await self._api.run(
                job.model_dump(),
                execution_timeout_s=self._settings.lease_max_s + GRACE_S,
                ttl_s=self._settings.lease_max_s + GRACE_S + self._settings.cold_limit_s,
            )
        except BaseException as error:
            if isinstance(error, ModeUnavailable):
                self._trouble = error
            await asyncio.shield(self.keeper.end(lease, "it could not be asked for"))
            raise
        self._trouble = None
        self._book.enter(lease.job_id)
        if self._pool is not None:
            await self.keeper.sync()  # whoever its worker dials knows the job
        self._tasks.spawn(self._await_worker(lease), name=f"lease {lease.id}")
        log.info("lease_asked", lease_id=lease.id, job_id=lease.job_id, kind=lease.kind)
        return lease

    def _take_over(self, lease: Lease) -> None:
        """A worker of another gateway's lease has dialled in here: it is this one's now."""
        log.info("lease_taken_over", lease_id=lease.id, state=lease.state)
        if lease.job_id:  # else its first gateway has only just asked, and it ends with its worker
            self._book.enter(lease.job_id)
        if lease.is_coming():
            self._tasks.spawn(self._await_worker(lease), name=f"lease {lease.id}")

    async def _await_worker(self, lease: Lease) -> None:
        """Follow a job until its worker has dialled in, or it is clear that none will."""
        assert self._api is not None
        while lease.is_coming():
            changed = self._changed
            if self._clock() - lease.asked_s > self._settings.cold_limit_s:
                await self.keeper.end(lease, "no worker took the job in time")
                return
            try:
                job = await self._api.status(lease.job_id)
                if job.get("status") in FINAL:
                    await self.keeper.end(lease, f"the job ended as {job['status']}")
                    return
                lease.stage = await self._stage(str(job.get("status")))
            except ModeUnavailable as error:
                log.warning("lease_not_followed", lease_id=lease.id, reason=error.message)
            await _wait_for(changed)
        if lease.state == "attached":
            await self.keeper.record_start(lease)

    async def _stage(self, status: str) -> str:
        if status == "IN_PROGRESS":
            return "connecting"
        assert self._api is not None
        health = await self._api.health()
        if health.initializing:
            return "loading_models"
        return "no_machine_free" if health.throttled and not health.ready else "leasing_worker"

    def _note_change(self) -> None:
        """Wake everyone who looked at the table before this, and nobody who looks after."""
        self._tell_pool()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _changes(self) -> None:
        await _wait_for(self._changed, HURRY_S if self._waiting else POLL_S)


async def _wait_for(changed: asyncio.Event, limit_s: float = POLL_S) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await changed.wait()
